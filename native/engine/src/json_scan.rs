//! JSON as bytes: strings, numbers, names, values and how deep they nest, read in one pass from the front.
//!
//! Knows the grammar (RFC 8259) and no field, limit or reason. It must not know whether bytes are UTF-8: whoever
//! has to, asks before. Invariants: the time is linear in the bytes that are read, nothing is allocated, and the
//! recursion is as deep as the caller allows.

use crate::json_strings::{escaped_character, next_special};

/// A part of a text, as places of its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub start: u32,
    pub end: u32,
}

impl Span {
    /// A text is at most 4 GiB: `decode` refuses a longer one before it is read.
    pub fn new(start: usize, end: usize) -> Self {
        Span { start: start as u32, end: end as u32 }
    }

    pub fn of(self, text: &[u8]) -> &[u8] {
        &text[self.start as usize..self.end as usize]
    }

    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// Why a text is no JSON that may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Invalid,
    TooDeep,
}

named! {
    /// What a value is; a number has a fraction or an exponent.
    Kind {
        String = "string",
        Object = "object",
        Array = "array",
        Boolean = "boolean",
        Null = "null",
        Integer = "integer",
        Number = "number",
    }
}

/// A string between its quotes.
#[derive(Clone, Copy, Debug)]
pub struct Str {
    /// Without the quotes.
    pub span: Span,
    pub escaped: bool,
    /// Without escapes, and with no byte but 0x20 to 0x7e.
    pub plain: bool,
}

/// A value with its bytes, from the first to the last.
///
/// It is small, so that it is handed over in registers.
#[derive(Clone, Copy, Debug)]
pub struct Value {
    pub span: Span,
    /// Of an object: its properties, repeated ones included.
    pub names: u32,
    pub kind: Kind,
    facts: u8,
}

const ESCAPED: u8 = 1;
const PLAIN: u8 = 2;
const NESTED: u8 = 4;
const RESERVED: u8 = 8;

impl Value {
    /// What is between a string's quotes.
    pub fn inside(&self) -> Span {
        Span { start: self.span.start + 1, end: self.span.end - 1 }
    }

    /// Of a string.
    pub fn is_escaped(&self) -> bool {
        self.facts & ESCAPED != 0
    }

    /// Of a string: `Str::plain`.
    pub fn is_plain(&self) -> bool {
        self.facts & PLAIN != 0
    }

    /// Of an object: whether it holds another one, or an array.
    pub fn is_nested(&self) -> bool {
        self.facts & NESTED != 0
    }

    /// Of an object: whether a name begins with an underscore, or may when it is read.
    pub fn may_be_reserved(&self) -> bool {
        self.facts & RESERVED != 0
    }

    fn new(kind: Kind, start: usize, end: usize) -> Self {
        Value { span: Span::new(start, end), names: 0, kind, facts: 0 }
    }
}

pub fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// The text without white space at its ends, as places in the text.
pub fn trimmed(text: &[u8], start: usize, end: usize) -> Span {
    let mut span = (start, end);
    while span.0 < span.1 && is_space(text[span.0]) {
        span.0 += 1;
    }
    while span.0 < span.1 && is_space(text[span.1 - 1]) {
        span.1 -= 1;
    }
    Span::new(span.0, span.1)
}

/// A place in a text, and what is read from there on.
pub struct Cursor<'t> {
    text: &'t [u8],
    pub place: usize,
}

impl<'t> Cursor<'t> {
    pub fn new(text: &'t [u8], place: usize) -> Self {
        Cursor { text, place }
    }

    #[inline]
    pub fn peek(&self) -> Result<u8, Fault> {
        self.text.get(self.place).copied().ok_or(Fault::Invalid)
    }

    /// The next byte behind white space, which stays to be read.
    #[inline]
    fn next_token(&mut self) -> Result<u8, Fault> {
        loop {
            let byte = self.peek()?;
            if byte > b' ' || !is_space(byte) {
                return Ok(byte);
            }
            self.place += 1;
        }
    }

    /// The string at this place, which has its opening quote.
    #[inline]
    pub fn string(&mut self) -> Result<Str, Fault> {
        let start = self.place + 1;
        let (mut place, mut plain) = next_special(self.text, start);
        let mut escaped = false;
        loop {
            match self.text.get(place).ok_or(Fault::Invalid)? {
                b'"' => break,
                b'\\' => place = self.behind_escape(place + 1)?,
                _ => return Err(Fault::Invalid),
            }
            (escaped, plain) = (true, false);
            place = next_special(self.text, place).0;
        }
        self.place = place + 1;
        Ok(Str { span: Span::new(start, place), escaped, plain })
    }

    /// The place behind the escape whose letter is at `place`.
    fn behind_escape(&self, place: usize) -> Result<usize, Fault> {
        match self.text.get(place).ok_or(Fault::Invalid)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(place + 1),
            b'u' => Ok(escaped_character(self.text, place + 1)?.1),
            _ => Err(Fault::Invalid),
        }
    }

    /// Passes over digits, of which there must be one.
    #[inline]
    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.place;
        while self.text.get(self.place).is_some_and(u8::is_ascii_digit) {
            self.place += 1;
        }
        if self.place > start { Ok(()) } else { Err(Fault::Invalid) }
    }

    fn is_at(&self, either: u8, or: u8) -> bool {
        self.text.get(self.place).is_some_and(|&byte| byte == either || byte == or)
    }

    #[inline]
    fn number(&mut self) -> Result<Kind, Fault> {
        let mut kind = Kind::Integer;
        self.place += usize::from(self.is_at(b'-', b'-'));
        if self.is_at(b'0', b'0') {
            self.place += 1;
            if self.text.get(self.place).is_some_and(u8::is_ascii_digit) {
                return Err(Fault::Invalid);
            }
        } else {
            self.digits()?;
        }
        if self.is_at(b'.', b'.') {
            kind = Kind::Number;
            self.place += 1;
            self.digits()?;
        }
        if self.is_at(b'e', b'E') {
            kind = Kind::Number;
            self.place += 1;
            self.place += usize::from(self.is_at(b'+', b'-'));
            self.digits()?;
        }
        Ok(kind)
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Fault> {
        if !self.text[self.place..].starts_with(word) {
            return Err(Fault::Invalid);
        }
        self.place += word.len();
        Ok(())
    }

    /// The value at this place or behind white space. Brackets in it may nest so many `levels`.
    #[inline]
    pub fn value(&mut self, levels: usize) -> Result<Value, Fault> {
        let first = self.next_token()?;
        let start = self.place;
        let kind = match first {
            b'"' => {
                let string = self.string()?;
                let mut value = Value::new(Kind::String, start, self.place);
                value.facts = if string.plain { PLAIN } else { 0 } | if string.escaped { ESCAPED } else { 0 };
                return Ok(value);
            }
            b'{' => return self.object(levels),
            b'[' => return self.array(levels),
            b't' => self.word(b"true").map(|()| Kind::Boolean)?,
            b'f' => self.word(b"false").map(|()| Kind::Boolean)?,
            b'n' => self.word(b"null").map(|()| Kind::Null)?,
            _ => self.number()?,
        };
        Ok(Value::new(kind, start, self.place))
    }

    fn array(&mut self, levels: usize) -> Result<Value, Fault> {
        let inside = levels.checked_sub(1).ok_or(Fault::TooDeep)?;
        let start = self.place;
        self.place += 1;
        if self.next_token()? == b']' {
            self.place += 1;
            return Ok(Value::new(Kind::Array, start, self.place));
        }
        loop {
            self.value(inside)?;
            if self.is_last(b']')? {
                return Ok(Value::new(Kind::Array, start, self.place));
            }
        }
    }

    fn object(&mut self, levels: usize) -> Result<Value, Fault> {
        let start = self.place;
        let text = self.text;
        let (mut names, mut facts) = (0, 0);
        self.properties(levels, |name, value| {
            names += 1;
            if matches!(text[name.span.start as usize], b'_' | b'\\') {
                facts |= RESERVED;
            }
            if matches!(value.kind, Kind::Object | Kind::Array) {
                facts |= NESTED;
            }
        })?;
        Ok(Value { span: Span::new(start, self.place), names, kind: Kind::Object, facts })
    }

    /// Reads the object at this place, and hands its properties over in their order.
    #[inline]
    pub fn properties(&mut self, levels: usize, mut each: impl FnMut(Str, Value)) -> Result<(), Fault> {
        let inside = levels.checked_sub(1).ok_or(Fault::TooDeep)?;
        self.place += 1;
        if self.next_token()? == b'}' {
            self.place += 1;
            return Ok(());
        }
        loop {
            if self.next_token()? != b'"' {
                return Err(Fault::Invalid);
            }
            let name = self.string()?;
            if self.next_token()? != b':' {
                return Err(Fault::Invalid);
            }
            self.place += 1;
            each(name, self.value(inside)?);
            if self.is_last(b'}')? {
                return Ok(());
            }
        }
    }

    /// Passes over what follows a value: the closing bracket, and true, or a comma.
    #[inline]
    fn is_last(&mut self, closing: u8) -> Result<bool, Fault> {
        let byte = self.next_token()?;
        self.place += 1;
        match byte {
            b',' => Ok(false),
            _ if byte == closing => Ok(true),
            _ => Err(Fault::Invalid),
        }
    }
}
