//! The answer to one fetch of one partition: which of its batches hold records, and where reading stops.
//!
//! Decides what is skipped (markers of transactions, what was aborted, what lies before the position), by the rules
//! of the client. It must not know codecs: at a compressed batch it stops, and goes on when that was read elsewhere.
//! Invariants: records come in order; nothing of a damaged batch is handed out, and all of those before it is.

use std::collections::BTreeSet;
use std::ops::Range;

use super::header::{CODEC, CONTROL, Header, TRANSACTIONAL, batch_at};
use super::records::{Record, append_records, first_record};

/// Why no more records were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// As much as was asked for has been read.
    Full,
    /// There is no further batch, or not all of it has come.
    End,
    /// The batch is compressed; its records are to be had by whoever unpacks it, then `pass` goes on.
    Packed(Range<usize>),
    /// The batch has another format than 2, or none, or did not come whole.
    Other(Range<usize>),
    /// The batch is damaged: its checksum is wrong, or its records have no valid form.
    Damaged(Range<usize>),
}

/// How far an answer has been read.
#[derive(Clone, Debug)]
pub struct Fetch {
    at: usize,
    position: i64,
    aborted: Vec<(i64, i64)>,
    aborted_producers: BTreeSet<i64>,
    read_committed: bool,
    check_crcs: bool,
}

/// The most that one `read` should bring; it may go over by one batch.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    pub records: usize,
    pub bytes: usize,
}

impl Fetch {
    /// `position`: the offset that was asked for. `aborted`: (producer, first offset) of aborted transactions.
    pub fn new(position: i64, mut aborted: Vec<(i64, i64)>, read_committed: bool, check_crcs: bool) -> Fetch {
        aborted.sort_by_key(|(_, first)| std::cmp::Reverse(*first)); // the first one is taken from the end
        Fetch { at: 0, position, aborted, aborted_producers: BTreeSet::new(), read_committed, check_crcs }
    }

    /// The offset to go on from: behind all that was read or skipped.
    pub fn position(&self) -> i64 {
        self.position
    }

    /// Append the next records; how many bytes of batches they came from, and why no more came.
    pub fn read(&mut self, answer: &[u8], most: Most, records: &mut Vec<Record>) -> (usize, Stop) {
        let (mut bytes, before) = (0, records.len());
        while bytes < most.bytes && records.len() - before < most.records {
            let Some(batch) = batch_at(answer, self.at) else {
                return (bytes, self.end(answer));
            };
            match self.take(&answer[..batch.end], batch.start, records) {
                Ok(size) => bytes += size,
                Err(stop) => return (bytes, stop),
            }
        }
        (bytes, Stop::Full)
    }

    /// Go on at `position`, behind the batch at which reading stopped: its records were read elsewhere.
    pub fn pass(&mut self, answer: &[u8], position: i64) {
        self.at = batch_at(answer, self.at).map_or(answer.len(), |batch| batch.end);
        self.position = position;
    }

    /// Take or skip one batch, with which `answer` ends: the size of it where it held records.
    fn take(&mut self, answer: &[u8], start: usize, records: &mut Vec<Record>) -> Result<usize, Stop> {
        let batch = &answer[start..];
        let Some(header) = Header::of(batch) else { return Err(Stop::Other(start..answer.len())) };
        let damaged = Stop::Damaged(start..answer.len());
        if self.check_crcs && !header.is_whole(batch) {
            return Err(damaged);
        }
        let mut size = 0;
        if !self.is_to_be_skipped(answer, start, &header).ok_or_else(|| damaged.clone())? {
            if header.is(CODEC) {
                return Err(Stop::Packed(start..answer.len()));
            }
            let before = records.len();
            append_records(answer, start, &header, self.position, records).ok_or(damaged)?;
            size = if records.len() > before { batch.len() } else { 0 };
        }
        self.position = header.next_offset();
        self.at = answer.len();
        Ok(size)
    }

    /// Whether the batch is a marker, or of an aborted transaction. None for a marker without a valid form.
    fn is_to_be_skipped(&mut self, answer: &[u8], start: usize, header: &Header) -> Option<bool> {
        if self.read_committed {
            while let Some((producer, first)) = self.aborted.last().copied() {
                if first > header.base_offset {
                    break;
                }
                self.aborted_producers.insert(producer);
                self.aborted.pop();
            }
            if header.is(CONTROL) && is_abort_marker(answer, start, header)? {
                self.aborted_producers.remove(&header.producer);
            }
            if header.is(TRANSACTIONAL) && self.aborted_producers.contains(&header.producer) {
                return Some(true);
            }
        }
        Some(header.is(CONTROL))
    }

    /// What it means that no whole batch follows.
    fn end(&self, answer: &[u8]) -> Stop {
        // Brokers send an incomplete batch only behind a whole one.
        if self.at == 0 && !answer.is_empty() { Stop::Other(0..answer.len()) } else { Stop::End }
    }
}

/// Whether a control batch ends a transaction that was aborted: its key is two numbers, version 0 and type 0.
fn is_abort_marker(answer: &[u8], start: usize, header: &Header) -> Option<bool> {
    let marker = first_record(answer, start, header)?.key;
    Some(marker.of(answer)?.get(..4)? == [0; 4])
}

#[cfg(test)]
mod tests {
    use super::super::batch_writer::{BatchWriter, Producer};
    use super::super::header::{COUNT_AT, CRC_AT, HEADER, LAST_DELTA_AT};
    use super::*;

    const ALL: Most = Most { records: usize::MAX, bytes: usize::MAX };

    /// A batch from `offset` on, of so many records, by that producer.
    fn batch(offset: i64, count: usize, producer: i64, attributes: i16) -> Vec<u8> {
        let mut writer = BatchWriter::new(usize::MAX);
        for number in 0..count {
            writer.push(7, Some(b"k"), Some(number.to_string().as_bytes()), &[]);
        }
        let written = writer.take().remove(0);
        let by = Producer { id: producer, epoch: 0, sequence: 0 };
        let header = written.header(by, attributes, written.records()).expect("a small batch");
        let mut whole = [&header[..], written.records()].concat();
        whole[..8].copy_from_slice(&offset.to_be_bytes());
        whole
    }

    fn marker(offset: i64, producer: i64, kind: u8) -> Vec<u8> {
        let mut writer = BatchWriter::new(usize::MAX);
        writer.push(0, Some(&[0, 0, 0, kind]), Some(&[0; 6]), &[]);
        let written = writer.take().remove(0);
        let by = Producer { id: producer, epoch: 0, sequence: 0 };
        let header = written.header(by, CONTROL | TRANSACTIONAL, written.records()).expect("a small batch");
        let mut whole = [&header[..], written.records()].concat();
        whole[..8].copy_from_slice(&offset.to_be_bytes());
        whole
    }

    fn put(batch: &mut [u8], at: usize, number: i32) {
        batch[at..at + 4].copy_from_slice(&number.to_be_bytes());
        let crc = crc32c::crc32c(&batch[super::super::header::ATTRIBUTES_AT..]);
        batch[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
    }

    fn read(answer: &[u8], position: i64, aborted: Vec<(i64, i64)>) -> (Vec<i64>, Stop, i64) {
        let mut fetch = Fetch::new(position, aborted, true, true);
        let mut records = Vec::new();
        let (_, stop) = fetch.read(answer, ALL, &mut records);
        (records.iter().map(|record| record.offset).collect(), stop, fetch.position())
    }

    #[test]
    fn a_wrong_checksum_stops_behind_all_that_is_before_it() {
        let mut answer = batch(0, 3, -1, 0);
        let first = answer.len();
        answer.extend(batch(3, 2, -1, 0));
        *answer.last_mut().expect("a byte") ^= 1;
        assert_eq!(read(&answer, 0, vec![]), (vec![0, 1, 2], Stop::Damaged(first..answer.len()), 3));
    }

    #[test]
    fn a_cut_off_last_batch_is_none() {
        let mut answer = batch(0, 3, -1, 0);
        answer.extend(&batch(3, 2, -1, 0)[..70]);
        assert_eq!(read(&answer, 0, vec![]), (vec![0, 1, 2], Stop::End, 3));
        assert_eq!(read(&answer[..70], 0, vec![]), (vec![], Stop::Other(0..70), 0));
    }

    #[test]
    fn markers_alone_are_passed() {
        let answer = [marker(5, 1, 0), marker(6, 2, 1)].concat();
        assert_eq!(read(&answer, 5, vec![]), (vec![], Stop::End, 7));
    }

    #[test]
    fn what_was_aborted_is_skipped_and_what_others_wrote_beside_it_is_not() {
        let parts = [
            batch(0, 1, 1, TRANSACTIONAL),
            batch(1, 1, 2, TRANSACTIONAL),
            batch(2, 1, -1, 0),
            marker(3, 1, 0),
            batch(4, 1, 1, TRANSACTIONAL), // its next transaction
        ];
        assert_eq!(read(&parts.concat(), 0, vec![(1, 0)]), (vec![1, 2, 4], Stop::End, 5));
        let mut unread = Fetch::new(0, vec![(1, 0)], false, true);
        let mut records = Vec::new();
        unread.read(&parts.concat(), ALL, &mut records);
        assert_eq!(records.len(), 4);
    }

    #[test]
    fn the_position_is_behind_what_compaction_took() {
        let mut answer = batch(0, 2, -1, 0);
        put(&mut answer, LAST_DELTA_AT, 9);
        assert_eq!(read(&answer, 0, vec![]), (vec![0, 1], Stop::End, 10));
    }

    #[test]
    fn a_fetch_begins_in_the_middle_of_a_batch() {
        assert_eq!(read(&batch(10, 5, -1, 0), 13, vec![]), (vec![13, 14], Stop::End, 15));
    }

    #[test]
    fn a_count_that_is_a_lie_allocates_no_more_than_the_bytes_allow() {
        let mut answer = batch(0, 3, -1, 0);
        put(&mut answer, COUNT_AT, i32::MAX);
        let mut fetch = Fetch::new(0, vec![], true, true);
        let mut records = Vec::new();
        let (_, stop) = fetch.read(&answer, ALL, &mut records);
        assert_eq!((stop, records.len()), (Stop::Damaged(0..answer.len()), 0));
        assert!(records.capacity() <= answer.len() / 7);
        put(&mut answer, COUNT_AT, -1);
        assert_eq!(read(&answer, 0, vec![]).1, Stop::Damaged(0..answer.len()));
    }

    #[test]
    fn no_bytes_make_it_panic_and_every_record_lies_inside_them() {
        let whole = [batch(0, 2, 1, TRANSACTIONAL), marker(2, 1, 1), batch(3, 2, -1, 0)].concat();
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff, whole[at] ^ 1] {
                let mut damaged = whole.clone();
                damaged[at] = value;
                for (read_committed, check_crcs) in [(true, false), (false, false), (true, true)] {
                    let mut fetch = Fetch::new(0, vec![(1, 0)], read_committed, check_crcs);
                    let mut records: Vec<Record> = Vec::new();
                    fetch.read(&damaged, ALL, &mut records);
                    for record in &records {
                        record.key.of(&damaged);
                        record.value.of(&damaged);
                        super::super::records::headers_of(&damaged, record);
                    }
                }
                let mut fetch = Fetch::new(0, vec![], true, false);
                fetch.read(&damaged[..at.max(HEADER)], ALL, &mut Vec::new());
            }
        }
    }

    #[test]
    fn a_read_ends_when_it_has_brought_enough() {
        let answer = [batch(0, 2, -1, 0), batch(2, 2, -1, 0)].concat();
        let mut fetch = Fetch::new(0, vec![], true, true);
        let mut records = Vec::new();
        let (size, stop) = fetch.read(&answer, Most { records: 1, bytes: usize::MAX }, &mut records);
        assert_eq!((records.len(), size, stop, fetch.position()), (2, answer.len() / 2, Stop::Full, 2));
        assert_eq!(fetch.read(&answer, ALL, &mut records).1, Stop::End);
        assert_eq!(records.len(), 4);
    }
}
