//! Kafka's numbers of variable length: seven bits a byte, the lowest first, zigzag.
//!
//! Invariant: what `write` wrote, `read` reads; nothing is read beyond the bytes given.

/// The most bytes that a number of 64 bits takes.
const MOST_BYTES: usize = 10;

/// The number at `at`, which moves behind it. None where it does not end in time.
#[inline]
pub fn read(bytes: &[u8], at: &mut usize) -> Option<i64> {
    let first = *bytes.get(*at)?;
    if first < 0x80 {
        *at += 1;
        return Some(i64::from(first >> 1) ^ -i64::from(first & 1)); // as nearly always
    }
    let mut value = 0_u64;
    for (place, byte) in bytes[*at..].iter().take(MOST_BYTES).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * place);
        if *byte < 0x80 {
            *at += place + 1;
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    None
}

/// Append the number.
#[inline]
pub fn write(out: &mut Vec<u8>, number: i64) {
    let mut value = zigzag(number);
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// How many bytes `write` appends.
#[inline]
pub fn size(number: i64) -> usize {
    (70 - (zigzag(number) | 1).leading_zeros() as usize) / 7
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let mut numbers = vec![0, i64::MIN, i64::MAX];
        for bit in 0..63 {
            numbers.extend([(1 << bit) - 1, 1 << bit, -(1 << bit), -(1 << bit) - 1]);
        }
        for number in numbers {
            let mut bytes = Vec::new();
            write(&mut bytes, number);
            assert_eq!(bytes.len(), size(number), "{number}");
            let mut at = 0;
            assert_eq!(read(&bytes, &mut at), Some(number));
            assert_eq!(at, bytes.len());
            assert_eq!(read(&bytes[..bytes.len() - 1], &mut 0), None);
        }
    }

    #[test]
    fn a_number_of_more_than_ten_bytes_is_none() {
        assert_eq!(read(&[0x80; 20], &mut 0), None);
        let mut bytes = [0xff; 11];
        bytes[10] = 1;
        assert_eq!(read(&bytes, &mut 0), None);
        assert_eq!(read(&[], &mut 0), None);
    }
}
