//! The records of one batch that is not compressed, as places in its bytes.
//!
//! It must not know transactions, nor which batch comes next. Invariants: every place lies inside the batch; what is
//! kept is in proportion to the bytes that came, whatever the batch says of itself.

use super::header::{HEADER, Header, LOG_APPEND_TIME};
use super::varint;

/// A record takes at least so many bytes: seven fields of one byte each.
const LEAST_RECORD: usize = 7;
const NONE: u32 = u32::MAX;

/// Some bytes of a batch; or none, which is not the same as no bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    start: u32,
    end: u32,
}

impl Place {
    pub const NOWHERE: Place = Place { start: NONE, end: NONE };

    #[inline]
    pub fn of(self, bytes: &[u8]) -> Option<&[u8]> {
        (self.start != NONE).then(|| &bytes[self.start as usize..self.end as usize])
    }

    #[inline]
    pub fn size(self) -> usize {
        (self.end - self.start) as usize
    }
}

/// A record. `headers` are those that `headers_of` reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    pub offset: i64,
    pub timestamp: i64,
    pub key: Place,
    pub value: Place,
    pub headers: Place,
}

/// Append the records of the batch at `start` from the offset `from` on. `answer` ends where the batch does.
///
/// None where they have no valid form, by the rules of the client's parser; then `records` is as it was.
pub fn append_records(
    answer: &[u8],
    start: usize,
    header: &Header,
    from: i64,
    records: &mut Vec<Record>,
) -> Option<()> {
    if u32::try_from(answer.len()).map_or(true, |size| size == NONE) {
        return None; // places have 32 bits
    }
    let before = records.len();
    let mut at = start + HEADER;
    let most = answer.len().saturating_sub(at) / LEAST_RECORD;
    records.reserve(most.min(usize::try_from(header.count).unwrap_or(0)));
    for _ in 0..header.count.max(0) {
        match record_at(answer, &mut at, header) {
            Some(record) if record.offset >= from => records.push(record),
            Some(_) => {} // a batch may begin before the offset that was asked for
            None => {
                records.truncate(before);
                return None;
            }
        }
    }
    if at != answer.len() {
        records.truncate(before);
        return None;
    }
    Some(())
}

/// The first record of the batch at `start`, whatever follows it. None where there is none.
pub fn first_record(answer: &[u8], start: usize, header: &Header) -> Option<Record> {
    (header.count > 0).then(|| record_at(answer, &mut (start + HEADER), header))?
}

#[inline]
fn record_at(answer: &[u8], at: &mut usize, header: &Header) -> Option<Record> {
    let length = usize::try_from(varint::read(answer, at)?).ok()?;
    let end = at.checked_add(length).filter(|end| *end <= answer.len())?;
    let record = &answer[..end];
    varint::read(record, at)?; // attributes, which are unused
    let time_delta = varint::read(record, at)?;
    let offset_delta = varint::read(record, at)?;
    let key = place_at(record, at)?;
    let value = place_at(record, at)?;
    let headers = Place { start: *at as u32, end: end as u32 };
    skip_headers(record, at)?;
    if *at != end {
        return None;
    }
    Some(Record {
        offset: header.base_offset.wrapping_add(offset_delta),
        timestamp: if header.is(LOG_APPEND_TIME) {
            header.max_time
        } else {
            header.first_time.wrapping_add(time_delta)
        },
        key,
        value,
        headers,
    })
}

/// The bytes behind a length. A negative length is none.
#[inline]
fn place_at(record: &[u8], at: &mut usize) -> Option<Place> {
    let length = varint::read(record, at)?;
    if length < 0 {
        return Some(Place::NOWHERE);
    }
    let start = *at;
    let end = start.checked_add(usize::try_from(length).ok()?).filter(|end| *end <= record.len())?;
    *at = end;
    Some(Place { start: start as u32, end: end as u32 })
}

#[inline]
fn skip_headers(record: &[u8], at: &mut usize) -> Option<()> {
    let count = varint::read(record, at)?;
    if count < 0 {
        return None;
    }
    for _ in 0..count {
        if place_at(record, at)? == Place::NOWHERE {
            return None; // a name is never none
        }
        place_at(record, at)?;
    }
    Some(())
}

/// (name, value) of each header of a record that was read from these bytes, in order.
pub fn headers_of<'a>(bytes: &'a [u8], record: &Record) -> Vec<(&'a [u8], Option<&'a [u8]>)> {
    let Some(headers) = record.headers.of(bytes) else { return Vec::new() };
    let mut at = 0;
    let count = varint::read(headers, &mut at).unwrap_or(0);
    let mut found = Vec::new();
    for _ in 0..count {
        let (Some(name), Some(value)) = (place_at(headers, &mut at), place_at(headers, &mut at)) else {
            break;
        };
        found.push((name.of(headers).unwrap_or_default(), value.of(headers)));
    }
    found
}
