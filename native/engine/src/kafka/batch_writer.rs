//! Batches for a producer: records are written one behind the other, and cut into batches of a size.
//!
//! It must not know topics or codecs. Invariant: a batch says of itself what the client's own builder would, byte for
//! byte, where it is not compressed.

use super::header::{
    ATTRIBUTES_AT, COUNT_AT, CRC_AT, EPOCH_AT, FIRST_TIME_AT, HEADER, LAST_DELTA_AT, LEADER_EPOCH_AT,
    LENGTH_AT, LOG_OVERHEAD, MAGIC, MAGIC_AT, MAX_TIME_AT, PRODUCER_AT, SEQUENCE_AT,
};
use super::varint;

const NO_LEADER_EPOCH: i32 = -1;
const NO_LENGTH: i64 = -1;

/// A header of a record: its name, and a value or none.
pub type RecordHeader<'a> = (&'a [u8], Option<&'a [u8]>);

/// Who writes a batch: its id, its epoch, and the number of the batch's first record among its own.
#[derive(Clone, Copy, Debug)]
pub struct Producer {
    pub id: i64,
    pub epoch: i16,
    pub sequence: i32,
}

/// Records of one partition, cut into batches of fewer than `most` bytes, as the client does; one record may be larger.
#[derive(Debug)]
pub struct BatchWriter {
    most: usize,
    batches: Vec<Batch>,
}

impl BatchWriter {
    pub fn new(most: usize) -> BatchWriter {
        BatchWriter { most, batches: Vec::new() }
    }

    /// Write one record behind the others.
    pub fn push(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[RecordHeader<'_>],
    ) {
        let fields = fields_size(key, value, headers);
        if let Some(batch) = self.batches.last_mut() {
            if batch.size() + batch.record_size(timestamp, fields).1 < self.most {
                return batch.push(timestamp, key, value, headers, fields);
            }
        }
        let mut batch = Batch::new(timestamp);
        batch.push(timestamp, key, value, headers, fields);
        self.batches.push(batch);
    }

    /// The batches so far, in order; after that it is empty.
    pub fn take(&mut self) -> Vec<Batch> {
        std::mem::take(&mut self.batches)
    }
}

/// A batch with at least one record.
#[derive(Clone, Debug)]
pub struct Batch {
    records: Vec<u8>,
    first_time: i64,
    max_time: i64,
    count: i32,
}

impl Batch {
    fn new(first_time: i64) -> Batch {
        Batch { records: Vec::new(), first_time, max_time: first_time, count: 0 }
    }

    /// How many records are in it.
    pub fn count(&self) -> i32 {
        self.count
    }

    /// Its size when it is not compressed, with its header.
    pub fn size(&self) -> usize {
        HEADER + self.records.len()
    }

    /// Its records, as they are compressed.
    pub fn records(&self) -> &[u8] {
        &self.records
    }

    /// What stands in front of `body`: the records, or what a codec that `attributes` name made of them.
    ///
    /// None for a batch that is larger than Kafka can say.
    pub fn header(&self, producer: Producer, attributes: i16, body: &[u8]) -> Option<[u8; HEADER]> {
        let length = i32::try_from(HEADER - LOG_OVERHEAD + body.len()).ok()?;
        let mut header = [0; HEADER];
        put(&mut header, LENGTH_AT, length.to_be_bytes());
        put(&mut header, LEADER_EPOCH_AT, NO_LEADER_EPOCH.to_be_bytes());
        header[MAGIC_AT] = MAGIC;
        put(&mut header, ATTRIBUTES_AT, attributes.to_be_bytes());
        put(&mut header, LAST_DELTA_AT, (self.count - 1).to_be_bytes());
        put(&mut header, FIRST_TIME_AT, self.first_time.to_be_bytes());
        put(&mut header, MAX_TIME_AT, self.max_time.to_be_bytes());
        put(&mut header, PRODUCER_AT, producer.id.to_be_bytes());
        put(&mut header, EPOCH_AT, producer.epoch.to_be_bytes());
        put(&mut header, SEQUENCE_AT, producer.sequence.to_be_bytes());
        put(&mut header, COUNT_AT, self.count.to_be_bytes());
        let crc = crc32c::crc32c_append(crc32c::crc32c(&header[ATTRIBUTES_AT..]), body);
        put(&mut header, CRC_AT, crc.to_be_bytes());
        Some(header)
    }

    /// The sizes of the next record: without its own length, and with it.
    fn record_size(&self, timestamp: i64, fields: usize) -> (usize, usize) {
        let delta = timestamp.wrapping_sub(self.first_time);
        let size = 1 + varint::size(delta) + varint::size(i64::from(self.count)) + fields;
        (size, size + varint::size(size as i64))
    }

    fn push(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[RecordHeader<'_>],
        fields: usize,
    ) {
        let (size, whole) = self.record_size(timestamp, fields);
        let out = &mut self.records;
        out.reserve(whole);
        varint::write(out, size as i64);
        out.push(0); // attributes, which are unused
        varint::write(out, timestamp.wrapping_sub(self.first_time));
        varint::write(out, i64::from(self.count));
        write_bytes(out, key);
        write_bytes(out, value);
        varint::write(out, headers.len() as i64);
        for (name, value) in headers {
            write_bytes(out, Some(name));
            write_bytes(out, *value);
        }
        self.max_time = self.max_time.max(timestamp);
        self.count += 1;
    }
}

fn fields_size(key: Option<&[u8]>, value: Option<&[u8]>, headers: &[RecordHeader<'_>]) -> usize {
    let of_headers: usize =
        headers.iter().map(|(name, value)| bytes_size(Some(name)) + bytes_size(*value)).sum();
    bytes_size(key) + bytes_size(value) + varint::size(headers.len() as i64) + of_headers
}

fn bytes_size(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| varint::size(bytes.len() as i64) + bytes.len())
}

fn write_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            varint::write(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
        None => varint::write(out, NO_LENGTH),
    }
}

fn put<const N: usize>(built: &mut [u8], at: usize, bytes: [u8; N]) {
    built[at..at + N].copy_from_slice(&bytes);
}
