//! Where the elements of an array end, and how deep text nests, in text that no parser accepts.
//!
//! Knows brackets, strings and commas, and nothing of events; it validates no element. Invariants: it never
//! fails; whatever lies between two commas outside brackets and strings is an element; the time is linear.

use crate::json_scan::Span;

/// What follows an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Comma,
    /// The closing bracket of the array.
    Closing,
}

/// The place behind the string that opens at `place`; None where it never closes.
fn behind_string(text: &[u8], place: usize) -> Option<usize> {
    let mut at = place + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Where the comma or the array's closing bracket is that ends the element at `start`; None where it is cut off.
///
/// A stray `}` is part of the element: so the damage stays within it. Brackets of both kinds count alike.
pub fn end_of_element(text: &[u8], start: usize) -> Option<(usize, Ending)> {
    let mut depth = 0_usize;
    let mut place = start;
    loop {
        match *text.get(place)? {
            b'"' => {
                place = behind_string(text, place)?;
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' if depth == 0 => return Some((place, Ending::Closing)),
            b',' if depth == 0 => return Some((place, Ending::Comma)),
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        place += 1;
    }
}

/// The place behind the bracket that closes the one at `start`; None where there is none.
pub fn end_of_brackets(text: &[u8], start: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut place = start;
    loop {
        match *text.get(place)? {
            b'"' => {
                place = behind_string(text, place)?;
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' if depth == 1 => return Some(place + 1),
            b']' | b'}' => depth -= 1,
            _ => {}
        }
        place += 1;
    }
}

/// Whether brackets outside strings nest deeper than so many levels; `[]` is one level. A stray closing one
/// counts less than nothing. A string that never closes goes to the end.
pub fn nests_deeper(text: &[u8], levels: usize) -> bool {
    let (mut level, most) = (0_i64, levels as i64);
    let mut place = 0;
    while let Some(byte) = text.get(place) {
        match byte {
            b'"' => {
                let Some(behind) = behind_string(text, place) else { return false };
                place = behind;
                continue;
            }
            b'[' | b'{' => {
                level += 1;
                if level > most {
                    return true;
                }
            }
            b']' | b'}' => level -= 1,
            _ => {}
        }
        place += 1;
    }
    false
}

/// The text without its byte order mark and the white space around.
pub fn bare(value: &[u8]) -> Span {
    let start = if value.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    crate::json_scan::trimmed(value, start, value.len())
}
