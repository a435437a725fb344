//! The header of a record batch: 61 bytes that say what follows.
//!
//! It must not know the records. Invariant: a batch that it accepts is all there, and of format 2.

use std::ops::Range;

/// What stands in front of a batch's length, with the length itself.
pub const LOG_OVERHEAD: usize = 12;
/// The size of a header, to the count of records.
pub const HEADER: usize = 61;
pub const LENGTH_AT: usize = 8;
pub const LEADER_EPOCH_AT: usize = 12;
pub const MAGIC_AT: usize = 16;
pub const CRC_AT: usize = 17;
pub const ATTRIBUTES_AT: usize = 21;
pub const LAST_DELTA_AT: usize = 23;
pub const FIRST_TIME_AT: usize = 27;
pub const MAX_TIME_AT: usize = 35;
pub const PRODUCER_AT: usize = 43;
pub const EPOCH_AT: usize = 51;
pub const SEQUENCE_AT: usize = 53;
pub const COUNT_AT: usize = 57;
pub const MAGIC: u8 = 2;

pub const CODEC: i16 = 0x07;
pub const LOG_APPEND_TIME: i16 = 0x08;
pub const TRANSACTIONAL: i16 = 0x10;
pub const CONTROL: i16 = 0x20;

/// What a batch of format 2 says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub base_offset: i64,
    pub crc: u32,
    pub attributes: i16,
    pub last_delta: i32,
    pub first_time: i64,
    pub max_time: i64,
    pub producer: i64,
    pub count: i32,
}

impl Header {
    /// The header at the beginning of a whole batch. None for a shorter one, or another format.
    pub fn of(batch: &[u8]) -> Option<Header> {
        if batch.len() < HEADER || batch[MAGIC_AT] != MAGIC {
            return None;
        }
        Some(Header {
            base_offset: i64::from_be_bytes(bytes_at(batch, 0)),
            crc: u32::from_be_bytes(bytes_at(batch, CRC_AT)),
            attributes: i16::from_be_bytes(bytes_at(batch, ATTRIBUTES_AT)),
            last_delta: i32::from_be_bytes(bytes_at(batch, LAST_DELTA_AT)),
            first_time: i64::from_be_bytes(bytes_at(batch, FIRST_TIME_AT)),
            max_time: i64::from_be_bytes(bytes_at(batch, MAX_TIME_AT)),
            producer: i64::from_be_bytes(bytes_at(batch, PRODUCER_AT)),
            count: i32::from_be_bytes(bytes_at(batch, COUNT_AT)),
        })
    }

    pub fn is(&self, attribute: i16) -> bool {
        self.attributes & attribute != 0
    }

    /// The offset behind the batch, also where compaction took its last records.
    pub fn next_offset(&self) -> i64 {
        self.base_offset.wrapping_add(i64::from(self.last_delta)).wrapping_add(1)
    }

    /// Whether the content is what the producer wrote.
    pub fn is_whole(&self, batch: &[u8]) -> bool {
        crc32c::crc32c(&batch[ATTRIBUTES_AT..]) == self.crc
    }
}

/// Where the batch at `at` lies. None where not all of it is there.
pub fn batch_at(answer: &[u8], at: usize) -> Option<Range<usize>> {
    let length = answer.get(at..)?.get(LENGTH_AT..LOG_OVERHEAD)?;
    let length = usize::try_from(i32::from_be_bytes(bytes_at(length, 0))).unwrap_or(0);
    let end = at + LOG_OVERHEAD + length;
    (end <= answer.len()).then_some(at..end)
}

fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("a slice of N bytes")
}
