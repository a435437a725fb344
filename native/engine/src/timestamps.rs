//! Which numbers are event times: whole milliseconds since the epoch, in the range that is believed.
//!
//! Knows the text of one JSON number, and no event. Invariants: it never fails on a valid number; floating point
//! decides nothing.

use crate::refusals::Rule;

/// The times that are believed, in milliseconds: from `oldest` to just below `limit`.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub oldest: i64,
    pub limit: i64,
}

/// No number of more digits than 18 fits where it is worked out; `Times` are far below it.
const MOST_DIGITS: i64 = 18;
/// Of an exponent so many digits count: no text is longer.
const MOST_EXPONENT_DIGITS: usize = 18;

impl Times {
    /// The milliseconds that a valid JSON number says, or the rule that it breaks.
    pub fn milliseconds(self, number: &[u8]) -> Result<i64, Rule> {
        let found = if number.len() <= MOST_DIGITS as usize && number.iter().all(u8::is_ascii_digit) {
            value_of(number.iter())
        } else {
            exactly(number)?
        };
        if (self.oldest..self.limit).contains(&found) { Ok(found) } else { Err(Rule::TimestampRange) }
    }
}

/// Of at most 18 digits.
fn value_of<'d>(digits: impl Iterator<Item = &'d u8>) -> i64 {
    digits.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'))
}

/// The number as it is written, without any rounding; -1 for what is surely out of range.
fn exactly(number: &[u8]) -> Result<i64, Rule> {
    let end = number.iter().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(number.len());
    let (mantissa, exponent) = (&number[..end], number.get(end + 1..).unwrap_or_default());
    let point = mantissa.iter().position(|&byte| byte == b'.').unwrap_or(end);
    let fraction = end.saturating_sub(point + 1) as i64;
    // Places in the mantissa, of the first digit that is no zero and of the last.
    let counts = |byte: &u8| matches!(byte, b'1'..=b'9');
    let (Some(first), Some(last)) = (mantissa.iter().position(counts), mantissa.iter().rposition(counts))
    else {
        return Ok(0);
    };
    let zeros_in_mantissa = mantissa[last + 1..].iter().filter(|&&byte| byte == b'0').count() as i64;
    let zeros = zeros_in_mantissa + power_of(exponent) - fraction;
    if zeros < 0 {
        return Err(Rule::TimestampFraction);
    }
    let digits = || mantissa[first..=last].iter().filter(|byte| byte.is_ascii_digit());
    if number[0] == b'-' || digits().count() as i64 + zeros > MOST_DIGITS {
        return Ok(-1);
    }
    Ok(value_of(digits()) * 10_i64.pow(zeros as u32))
}

/// The exponent of a number, which has more digits than any text where it is larger than that.
fn power_of(exponent: &[u8]) -> i64 {
    let digits = exponent.iter().filter(|byte| byte.is_ascii_digit()).skip_while(|&&byte| byte == b'0');
    let size = value_of(digits.take(MOST_EXPONENT_DIGITS));
    if exponent.first() == Some(&b'-') { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: Times = Times { oldest: 100_000_000_000, limit: 100_000_000_000_000 };

    #[test]
    fn numbers_count_as_they_are_written() {
        let fraction = Err(Rule::TimestampFraction);
        let range = Err(Rule::TimestampRange);
        for (number, expected) in [
            ("1.7e12", Ok(1_700_000_000_000)),
            ("1700000000000.0", Ok(1_700_000_000_000)),
            ("17000000000000e-1", Ok(1_700_000_000_000)),
            ("0.0017E+15", Ok(1_700_000_000_000)),
            ("1700000000000.0000000001", fraction),
            ("-1e-20", fraction),
            ("1e400", range),
            ("-0", range),
            ("-1.7e12", range),
            ("1e14", range),
            ("0e99999999999999999999", range),
            ("1e-99999999999999999999", fraction),
            ("1e99999999999999999999", range),
            ("99999999999999", Ok(99_999_999_999_999)),
            ("99999999999999.9", fraction),
        ] {
            assert_eq!(TIMES.milliseconds(number.as_bytes()), expected, "{number}");
        }
    }
}
