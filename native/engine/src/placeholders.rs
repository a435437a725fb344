//! Which ids name nobody: words that broken instrumentation sends for everybody, and forms of them.
//!
//! Knows one text and the tables; must not know which field it is of, nor what becomes of the event. Invariants:
//! only the comparison is normalised, ids stay as they were sent; no table of Unicode decides anything but the
//! written one; the time is linear in the text, which may be hostile and long.

use std::cmp::Ordering;

/// Code points that are compared as one ASCII character, or not at all.
#[derive(Clone, Copy, Debug)]
pub struct Compared {
    pub first: u32,
    pub last: u32,
    pub as_byte: Option<u8>,
}

/// Plain words, in lower case.
#[derive(Debug)]
pub struct Words {
    /// In ascending order: by length, then by their bytes.
    sorted: Vec<Box<[u8]>>,
}

/// How a word compares with a text, whatever the case of the text in ASCII.
fn order(word: &[u8], text: &[u8]) -> Ordering {
    let lower_case = || text.iter().map(u8::to_ascii_lowercase);
    word.len().cmp(&text.len()).then_with(|| word.iter().copied().cmp(lower_case()))
}

impl Words {
    pub fn new<'w>(words: impl IntoIterator<Item = &'w [u8]>) -> Self {
        let mut sorted: Vec<Box<[u8]>> = words.into_iter().map(Box::from).collect();
        sorted.sort_unstable_by(|one, other| order(one, other));
        Words { sorted }
    }

    /// Whether the text is one of the words, whatever its case in ASCII.
    fn contain(&self, text: &[u8]) -> bool {
        self.sorted.binary_search_by(|word| order(word, text)).is_ok()
    }

    fn longest(&self) -> usize {
        self.sorted.last().map_or(0, |word| word.len())
    }
}

/// What texts are compared by.
#[derive(Debug)]
pub struct Comparison {
    /// In ascending order, none within another.
    as_compared: Vec<Compared>,
    /// ASCII characters that do not count around a word.
    around_words: [bool; 256],
    /// ASCII characters that do not count around a form.
    around_forms: [bool; 256],
    ascii_white_space: [bool; 256],
    /// Plain words that name nobody also where they are repeated.
    no_value: Words,
    /// How a plain word may begin that has a form, if nothing was around it.
    begins_form: [bool; 256],
}

fn set_of(bytes: &[u8]) -> [bool; 256] {
    let mut set = [false; 256];
    for &byte in bytes {
        set[usize::from(byte)] = true;
    }
    set
}

fn stripped<'t>(text: &'t [u8], around: &[bool; 256]) -> &'t [u8] {
    let counts = |&byte: &u8| !around[usize::from(byte)];
    let Some(start) = text.iter().position(counts) else { return b"" };
    let end = text.iter().rposition(counts).map_or(start, |last| last + 1);
    &text[start..end]
}

impl Comparison {
    pub fn new<'w>(
        as_compared: &[Compared],
        around_words: &[u8],
        around_forms: &[u8],
        ascii_white_space: &[u8],
        no_value: impl Iterator<Item = &'w [u8]> + Clone,
    ) -> Self {
        let mut as_compared = as_compared.to_vec();
        as_compared.sort_by_key(|range| range.first);
        let mut begins_form = set_of(b"0");
        for first in no_value.clone().filter_map(|word| word.first()) {
            begins_form[usize::from(first.to_ascii_lowercase())] = true;
            begins_form[usize::from(first.to_ascii_uppercase())] = true;
        }
        for byte in 0..=0x7f_u8 {
            begins_form[usize::from(byte)] |= byte.is_ascii_punctuation();
        }
        Comparison {
            as_compared,
            around_words: set_of(around_words),
            around_forms: set_of(around_forms),
            ascii_white_space: set_of(ascii_white_space),
            no_value: Words::new(no_value),
            begins_form,
        }
    }

    /// The text with some characters changed, others left out; `own` is empty or becomes it.
    fn as_compared<'t>(&self, text: &'t [u8], own: &'t mut Vec<u8>) -> &'t [u8] {
        if text.is_ascii() {
            return text;
        }
        for character in String::from_utf8_lossy(text).chars() {
            match self.range_of(character) {
                Some(range) => own.extend(range.as_byte),
                None => own.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        own
    }

    fn range_of(&self, character: char) -> Option<&Compared> {
        let code = u32::from(character);
        let behind = self.as_compared.partition_point(|range| range.first <= code);
        behind.checked_sub(1).map(|place| &self.as_compared[place]).filter(|range| code <= range.last)
    }

    /// Whether the text is a plain word of these, or none is left of it.
    pub fn is_word(&self, text: &[u8], words: &Words) -> bool {
        let plain = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        if text.len() > words.longest() && plain(text.first()) && plain(text.last()) && text.is_ascii() {
            return false;
        }
        let mut own = Vec::new();
        let word = stripped(self.as_compared(text, &mut own), &self.around_words);
        word.is_empty() || words.contain(word)
    }

    /// Whether the text is one of the words or, where `forms` count, has a form that names nobody.
    pub fn names_nobody(&self, text: &[u8], words: &Words, forms: bool) -> bool {
        let mut own = Vec::new();
        let text = self.as_compared(text, &mut own);
        let word = stripped(text, &self.around_words);
        word.is_empty() || words.contain(word) || (forms && self.has_form(text, word))
    }

    fn has_form(&self, text: &[u8], word: &[u8]) -> bool {
        if word.len() == text.len() && !self.begins_form[usize::from(word[0])] {
            return false;
        }
        if self.holds_nothing(word) || self.repeats_no_value(word) {
            return true;
        }
        let text = stripped(text, &self.around_forms);
        names_a_variable(text) || inside_of_template(text).is_some_and(names_something)
    }

    fn is_punctuation(&self, byte: u8) -> bool {
        byte.is_ascii_punctuation() || self.ascii_white_space[usize::from(byte)]
    }

    /// Zeros and punctuation, with at most one x, which follows a zero.
    fn holds_nothing(&self, word: &[u8]) -> bool {
        let mut crosses = 0;
        for (place, &byte) in word.iter().enumerate() {
            if matches!(byte, b'x' | b'X') && place > 0 && word[place - 1] == b'0' && crosses == 0 {
                crosses = 1;
            } else if byte != b'0' && !self.is_punctuation(byte) {
                return false;
            }
        }
        true
    }

    /// Words for no value in a row, with punctuation between.
    fn repeats_no_value(&self, word: &[u8]) -> bool {
        let mut count = 0;
        for part in word.split(|&byte| self.is_punctuation(byte)) {
            match part {
                [] => {}
                _ if self.no_value.contain(part) => count += 1,
                _ => return false,
            }
        }
        count > 1 && !self.is_punctuation(word[0]) && !self.is_punctuation(word[word.len() - 1])
    }
}

/// A letter of a form is one of ASCII, or any character beyond it.
fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || !byte.is_ascii()
}

fn is_in_name(byte: u8) -> bool {
    is_letter(byte) || byte.is_ascii_digit() || byte == b'_'
}

/// `%NAME%`, `__NAME__`, `[object Name]`.
fn names_a_variable(text: &[u8]) -> bool {
    if let Some([first, rest @ ..]) = between(text, b"%", b"%") {
        let begins = first.is_ascii_alphabetic() || *first == b'_';
        return begins && rest.iter().all(|&byte| is_in_name(byte) || matches!(byte, b'.' | b'-'));
    }
    if let Some([first, rest @ ..]) = between(text, b"__", b"__") {
        let capital = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
        return first.is_ascii_uppercase() && rest.iter().all(capital);
    }
    between(text, b"[object ", b"]")
        .is_some_and(|name| !name.is_empty() && name.iter().copied().all(is_in_name))
}

fn between<'t>(text: &'t [u8], opening: &[u8], closing: &[u8]) -> Option<&'t [u8]> {
    text.strip_prefix(opening)?.strip_suffix(closing)
}

/// What a template's placeholder holds.
fn inside_of_template(text: &[u8]) -> Option<&[u8]> {
    const BRACKETS: [(&[u8], &[u8]); 9] = [
        (b"{{", b"}}"),
        (b"{%", b"%}"),
        (b"${", b"}"),
        (b"#{", b"}"),
        (b"%{", b"}"),
        (b"$(", b")"),
        (b"%(", b")s"),
        (b"<%", b"%>"),
        (b"%%", b"%%"),
    ];
    BRACKETS.iter().find_map(|(opening, closing)| between(text, opening, closing))
}

/// Whether it begins with a name, and with no UUID.
fn names_something(inside: &[u8]) -> bool {
    let Some(start) = inside.iter().position(|&byte| is_letter(byte) || byte.is_ascii_digit()) else {
        return false;
    };
    let left = &inside[start..];
    is_letter(left[0]) && !begins_with_uuid(left)
}

fn begins_with_uuid(text: &[u8]) -> bool {
    let mut left = text;
    for (digits, dash) in [(8, true), (4, true), (4, true), (4, true), (12, false)] {
        if left.len() < digits || !left[..digits].iter().all(u8::is_ascii_hexdigit) {
            return false;
        }
        left = &left[digits..];
        if dash {
            left = left.strip_prefix(b"-").unwrap_or(left);
        }
    }
    true
}
