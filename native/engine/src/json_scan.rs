//! JSON as bytes: strings, numbers, names, values and how deep they nest, read in one pass from the front.
//!
//! Knows the grammar (RFC 8259) and no field, limit or reason. It must not know whether bytes are UTF-8: whoever
//! has to, asks before. Invariants: the time is linear in the bytes that are read, nothing is allocated, and the
//! recursion is as deep as the caller allows.

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

/// What a value is. The order is that of the table of words for kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    String,
    Object,
    Array,
    Boolean,
    Null,
    Integer,
    /// With a fraction or an exponent.
    Number,
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
#[derive(Clone, Copy, Debug)]
pub struct Value {
    pub kind: Kind,
    pub span: Span,
    /// Of a string.
    pub escaped: bool,
    /// Of a string: `Str::plain`.
    pub plain: bool,
    /// Of an object: whether it holds no other one and no array.
    pub flat: bool,
    /// Of an object: its properties, repeated ones included.
    pub names: u32,
    /// Of an object: whether a name begins with an underscore, or may when it is read.
    pub reserved: bool,
}

impl Value {
    /// The value between a string's quotes.
    pub fn inside(&self) -> Span {
        Span { start: self.span.start + 1, end: self.span.end - 1 }
    }

    fn new(kind: Kind, start: usize, end: usize) -> Self {
        let span = Span::new(start, end);
        Value { kind, span, escaped: false, plain: false, flat: true, names: 0, reserved: false }
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

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x80 * ONES;

/// A word whose lowest byte with its highest bit set is where `word` has its first byte below `limit`.
fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(ONES * u64::from(limit)) & !word & HIGHS
}

/// From `place` on: where the first quote, backslash or control character is, or the end; and whether all before
/// it are bytes from 0x20 to 0x7e. Eight bytes at a time.
#[inline]
fn next_special(text: &[u8], mut place: usize) -> (usize, bool) {
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
/// Half of a surrogate pair is no character.
fn escaped_character(text: &[u8], place: usize) -> Result<(char, usize), Fault> {
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
    if first >= 0xdc00 || !(0xdc00..0xe000).contains(&second) {
        return Err(Fault::Invalid);
    }
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
    pub fn skip_space(&mut self) {
        while self.text.get(self.place).is_some_and(|&byte| is_space(byte)) {
            self.place += 1;
        }
    }

    #[inline]
    pub fn peek(&self) -> Result<u8, Fault> {
        self.text.get(self.place).copied().ok_or(Fault::Invalid)
    }

    /// The next byte behind white space, which stays to be read.
    #[inline]
    fn next_token(&mut self) -> Result<u8, Fault> {
        self.skip_space();
        self.peek()
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
                (value.escaped, value.plain) = (string.escaped, string.plain);
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
        let mut found = Value::new(Kind::Object, start, start);
        let text = self.text;
        self.properties(levels, |name, value| {
            found.names += 1;
            found.reserved |= matches!(text[name.span.start as usize], b'_' | b'\\');
            found.flat &= !matches!(value.kind, Kind::Object | Kind::Array);
        })?;
        found.span = Span::new(start, self.place);
        Ok(found)
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
