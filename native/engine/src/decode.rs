//! Turns the value of a raw record into events and rejections.
//!
//! Decides which bytes of a value are elements and what becomes of the rest; must not know records, keys or what
//! becomes of a rejection. Invariants: it never fails; every element of a batch is in exactly one of the two
//! lists, in order; what cannot be split into elements is one rejection; the time is linear in the value.
//!
//! An element is read where it lies, once. Only one that is no plain JSON is looked for by its brackets, commas
//! and strings, and judged by itself.

use std::str::from_utf8;

use sha2::{Digest, Sha256};

use crate::event_rules::{Event, EventRules, Piece, Properties};
use crate::json_elements::{Ending, bare, end_of_brackets, end_of_element, nests_deeper};
use crate::json_scan::{Cursor, Kind, Span, is_space, trimmed};
use crate::kept_memory::empty;
use crate::refusals::{Field, Refusal, Rule};
use crate::tables::Tables;

/// An event, and its place in the batch.
#[derive(Clone, Copy, Debug)]
pub struct Accepted {
    pub event: Event,
    pub index: u32,
}

/// What was refused: an element, a whole value, or what follows the end of an array.
#[derive(Clone, Copy, Debug)]
pub struct Rejection {
    pub refusal: Refusal,
    /// The place in the batch; None for a whole value and for what follows an array.
    pub index: Option<u32>,
    pub payload: Span,
}

/// All that was in one value. Pieces are of the value or of `own`.
#[derive(Default)]
pub struct Decoded {
    /// Each is in one of the two lists. Where the whole value is refused it may still have been split.
    pub elements: Vec<Span>,
    pub events: Vec<Accepted>,
    pub rejections: Vec<Rejection>,
    pub own: Vec<u8>,
    properties: Properties,
}

impl Decoded {
    fn clear(&mut self) {
        empty(&mut self.elements);
        empty(&mut self.events);
        empty(&mut self.rejections);
        empty(&mut self.own);
        self.properties.clear();
    }

    fn refuse(&mut self, refusal: Refusal, index: Option<usize>, payload: Span) {
        self.rejections.push(Rejection { refusal, index: index.map(|place| place as u32), payload });
    }

    fn refuse_whole(&mut self, refusal: Refusal, value: &[u8]) {
        self.events.clear();
        self.rejections.clear();
        self.refuse(refusal, None, Span::new(0, value.len()));
    }

    fn add(&mut self, outcome: Result<Event, Refusal>, element: Span) {
        let index = self.elements.len();
        self.elements.push(element);
        match outcome {
            Ok(event) => self.events.push(Accepted { event, index: index as u32 }),
            Err(refusal) => self.refuse(refusal, Some(index), element),
        }
    }
}

/// Fills `decoded` with what is in the value of a record; what was in it before goes.
pub fn decode(tables: &Tables, value: Option<&[u8]>, decoded: &mut Decoded) {
    decoded.clear();
    let Some(value) = value else {
        return decoded.refuse_whole(Refusal::whole(Rule::Tombstone), b"");
    };
    if value.len() > tables.limits.max_value_bytes {
        let sha256 = Sha256::digest(value).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        return refuse_too_large(tables, value.len(), &sha256, value, decoded);
    }
    let bare = bare(value);
    let text = &value[..bare.end as usize];
    let start = bare.start as usize;
    match text.get(start) {
        None => decoded.refuse_whole(Refusal::whole(Rule::EmptyValue), value),
        Some(b'[' | b'{') if !holds_nul(bare.of(text)) => {
            let utf8 = from_utf8(text).is_ok();
            let rest = Batch { tables, text, utf8, decoded }.read(start);
            decoded.refuse_rest(tables, value, rest);
        }
        _ => decoded.refuse_whole(Refusal::whole(why_no_events(tables, bare.of(text))), value),
    }
}

/// Refuses a value for its size in bytes. Only its beginning need be there.
pub fn refuse_too_large(
    tables: &Tables,
    bytes: usize,
    sha256: &str,
    beginning: &[u8],
    decoded: &mut Decoded,
) {
    decoded.clear();
    let beginning = &beginning[..beginning.len().min(tables.limits.kept_of_too_large_bytes)];
    decoded.own.extend_from_slice(sha256.as_bytes());
    let shown = Piece::Own(Span::new(0, sha256.len()));
    let refusal = Refusal { size: bytes, shown, ..Refusal::whole(Rule::TooLarge) };
    decoded.refuse_whole(refusal, beginning);
}

/// UTF-16 and UTF-32 have NUL among the first bytes of any array or object.
fn holds_nul(text: &[u8]) -> bool {
    text.iter().take(4).any(|&byte| byte == 0)
}

/// Why a text is refused that begins like no array or object.
fn why_no_events(tables: &Tables, text: &[u8]) -> Rule {
    if from_utf8(text).is_err() {
        return Rule::ValueNotUtf8;
    }
    if holds_nul(text) {
        return Rule::ValueBinary;
    }
    let mut cursor = Cursor::new(text, 0);
    let found = cursor.value(tables.limits.max_depth);
    if found.is_ok() && cursor.place == text.len() { Rule::NotEvents } else { Rule::Malformed }
}

/// What of a batch could not be split.
enum Rest {
    Nothing,
    TooMany,
    /// The place of the element with which it begins, where it does not follow the end of the array.
    From(Span, Option<usize>),
}

impl Decoded {
    fn refuse_rest(&mut self, tables: &Tables, value: &[u8], rest: Rest) {
        match rest {
            Rest::Nothing => {}
            Rest::TooMany => self.refuse_whole(Refusal::whole(Rule::TooManyEvents), value),
            Rest::From(span, index) => {
                let rest = span.of(value);
                // A bracket that closes the array is where a comma before it was one too many.
                let cut_off = index.is_some() && rest.first() != Some(&b']');
                let refusal = Refusal::whole(why_not_split(tables, rest, cut_off));
                if index == Some(0) {
                    self.refuse_whole(refusal, value);
                } else {
                    self.refuse(refusal, index, span);
                }
            }
        }
    }
}

fn why_not_split(tables: &Tables, rest: &[u8], cut_off: bool) -> Rule {
    if from_utf8(rest).is_err() {
        Rule::RestNotUtf8
    } else if nests_deeper(rest, tables.limits.max_depth) {
        Rule::RestTooDeep
    } else if cut_off {
        Rule::EndsTooEarly
    } else {
        Rule::Malformed
    }
}

/// A text that begins with a bracket, and what becomes of its elements.
struct Batch<'b> {
    tables: &'b Tables,
    text: &'b [u8],
    /// Of all of the text.
    utf8: bool,
    decoded: &'b mut Decoded,
}

impl Batch<'_> {
    fn read(&mut self, start: usize) -> Rest {
        if self.text[start] == b'{' { self.read_object(start) } else { self.read_array(start + 1) }
    }

    fn read_object(&mut self, start: usize) -> Rest {
        let Some(end) = self.read_plain(start).or_else(|| self.read_broken_object(start)) else {
            return Rest::From(Span::new(start, self.text.len()), Some(0));
        };
        self.rest_behind(end)
    }

    fn read_broken_object(&mut self, start: usize) -> Option<usize> {
        let end = end_of_brackets(self.text, start)?;
        self.judge(Span::new(start, end));
        Some(end)
    }

    fn rest_behind(&self, end: usize) -> Rest {
        let rest = trimmed(self.text, end, self.text.len());
        if rest.is_empty() { Rest::Nothing } else { Rest::From(rest, None) }
    }

    fn read_array(&mut self, mut place: usize) -> Rest {
        loop {
            while self.text.get(place).is_some_and(|&byte| is_space(byte)) {
                place += 1;
            }
            let start = place;
            let Some((end, ending)) = self.read_element(start) else {
                return Rest::From(Span::new(start, self.text.len()), Some(self.decoded.elements.len()));
            };
            if ending == Ending::Closing && end == start && !self.decoded.elements.is_empty() {
                // A comma before the closing bracket ends nothing well.
                return Rest::From(Span::new(start, self.text.len()), Some(self.decoded.elements.len()));
            }
            if self.decoded.elements.len() > self.tables.limits.max_events {
                return Rest::TooMany;
            }
            if ending == Ending::Closing {
                return self.rest_behind(end + 1);
            }
            place = end + 1;
        }
    }

    /// Adds the outcome of the element at `start`, if it is one: where it ends; None where it is cut off.
    fn read_element(&mut self, start: usize) -> Option<(usize, Ending)> {
        if let Some(found) = self.read_plain_element(start) {
            return Some(found);
        }
        let (end, ending) = end_of_element(self.text, start)?;
        if ending == Ending::Comma || end > start {
            self.judge(trimmed(self.text, start, end));
        }
        Some((end, ending))
    }

    /// The same for an element that is JSON; None, and nothing is added, where a closer look is needed.
    #[inline]
    fn read_plain_element(&mut self, start: usize) -> Option<(usize, Ending)> {
        let (end, kind) = self.parse(start)?;
        let mut behind = end;
        let ending = loop {
            match *self.text.get(behind)? {
                b',' => break Ending::Comma,
                b']' => break Ending::Closing,
                byte if is_space(byte) => behind += 1,
                _ => return None,
            }
        };
        self.add_parsed(Span::new(start, end), kind);
        Some((behind, ending))
    }

    /// Adds the outcome of the object at `start`, if it is JSON: where it ends.
    fn read_plain(&mut self, start: usize) -> Option<usize> {
        let (end, kind) = self.parse(start)?;
        self.add_parsed(Span::new(start, end), kind);
        Some(end)
    }

    fn parse(&mut self, start: usize) -> Option<(usize, Option<Kind>)> {
        if !self.utf8 {
            return None;
        }
        self.decoded.properties.read(self.tables, self.text, start).ok()
    }

    /// Adds what becomes of an element that was parsed: an object, or a value of another kind.
    fn add_parsed(&mut self, element: Span, kind: Option<Kind>) {
        let outcome = match kind {
            Some(kind) => Err(Refusal::of_kind(Rule::NotObject, Field::Id, kind)),
            None => self.event(),
        };
        self.decoded.add(outcome, element);
    }

    fn event(&mut self) -> Result<Event, Refusal> {
        let Decoded { properties, own, .. } = &mut *self.decoded;
        let before = own.len();
        let outcome = EventRules { tables: self.tables, text: self.text, own }.event(properties);
        if outcome.is_err() {
            self.decoded.own.truncate(before);
        }
        outcome
    }

    /// Adds what becomes of an element by itself, whatever it is.
    fn judge(&mut self, element: Span) {
        let bytes = element.of(self.text);
        let rule = if bytes.is_empty() {
            Rule::Nothing
        } else if !self.utf8 && from_utf8(bytes).is_err() {
            Rule::NotUtf8
        } else if nests_deeper(bytes, self.tables.limits.max_depth) {
            Rule::TooDeep
        } else {
            let text = &self.text[..element.end as usize];
            let parsed = self.decoded.properties.read(self.tables, text, element.start as usize);
            match parsed {
                Ok((end, kind)) if end == text.len() => return self.add_parsed(element, kind),
                _ => Rule::Malformed,
            }
        };
        self.decoded.add(Err(Refusal::whole(rule)), element);
    }
}
