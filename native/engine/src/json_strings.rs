//! What is inside JSON strings: where they end, and the characters that escapes stand for.
//!
//! Knows the bytes between two quotes, and nothing around them. Invariants: the time is linear; half of a surrogate
//! pair is no character.

use crate::json_scan::Fault;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x80 * ONES;

/// A word whose lowest byte with its highest bit set is where `word` has its first byte below `limit`.
fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(ONES * u64::from(limit)) & !word & HIGHS
}

/// From `place` on: where the first quote, backslash or control character is, or the end; and whether all before
/// it are bytes from 0x20 to 0x7e. Eight bytes at a time.
#[inline]
pub fn next_special(text: &[u8], mut place: usize) -> (usize, bool) {
    let mut odd = 0;
    while let Some(eight) = text[place..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*eight);
        let special = below(word ^ (ONES * 0x22), 1) | below(word ^ (ONES * 0x5c), 1) | below(word, 0x20);
        let beyond = (word | word.wrapping_add(ONES)) & HIGHS;
        if special != 0 {
            let bit = special.trailing_zeros();
            odd |= beyond & ((1 << bit) - 1);
            return (place + (bit / 8) as usize, odd == 0);
        }
        odd |= beyond;
        place += 8;
    }
    while let Some(&byte) = text.get(place) {
        if byte == b'"' || byte == b'\\' || byte < 0x20 {
            break;
        }
        odd |= u64::from(byte >= 0x7f);
        place += 1;
    }
    (place, odd == 0)
}

/// The four hexadecimal digits at `place`.
fn hex(text: &[u8], place: usize) -> Result<u32, Fault> {
    let mut code = 0;
    for at in place..place + 4 {
        let digit = text.get(at).ok_or(Fault::Invalid)?;
        code = code * 16 + (*digit as char).to_digit(16).ok_or(Fault::Invalid)?;
    }
    Ok(code)
}

/// The character of the escape `\u` whose digits begin at `place`, and the place behind it.
///
/// Half of a surrogate pair is none.
pub fn escaped_character(text: &[u8], place: usize) -> Result<(char, usize), Fault> {
    let first = hex(text, place)?;
    if let Some(character) = char::from_u32(first) {
        return Ok((character, place + 4));
    }
    for (at, expected) in [(place + 4, b'\\'), (place + 5, b'u')] {
        if *text.get(at).ok_or(Fault::Invalid)? != expected {
            return Err(Fault::Invalid);
        }
    }
    let second = hex(text, place + 6)?;
    if !(0xdc00..0xe000).contains(&second) {
        return Err(Fault::Invalid);
    }
    // Two second halves come out beyond the last character.
    let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
    Ok((char::from_u32(code).ok_or(Fault::Invalid)?, place + 10))
}

/// Appends the text of a valid string, what is between its quotes, to `into`.
pub fn unescape(string: &[u8], into: &mut Vec<u8>) {
    let mut place = 0;
    while let Some(found) = memchr::memchr(b'\\', &string[place..]) {
        into.extend_from_slice(&string[place..place + found]);
        place += found + 2;
        into.push(match string[place - 1] {
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                // A valid string has characters only.
                let (character, behind) = escaped_character(string, place).unwrap_or(('?', string.len()));
                into.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                place = behind;
                continue;
            }
            itself => itself,
        });
    }
    into.extend_from_slice(&string[place..]);
}
