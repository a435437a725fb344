//! Every rule about one event, once, in order: an element becomes an event or is refused for the first rule that
//! it breaks.
//!
//! Knows one element; must not know batches, records or Kafka. Invariants: the order of the checks is fixed, so
//! that the reason for an element never changes; ids that need no other spelling, and `data`, are the sender's
//! own bytes; the time is linear in the element.
//!
//! The order: structure; `id`, `type`, `device_id`, `timestamp`; `user_id`, `session_id`, `view_id`; `data`;
//! `extra`.

use crate::json_scan::{Cursor, Fault, Kind, Span, Str, Value};
use crate::json_strings::unescape;
use crate::kept_memory::empty;
use crate::names::Names;
use crate::refusals::{Field, Refusal, Rule};
use crate::tables::Tables;

/// Bytes of the value, or own ones where the value spells them otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    Sent(Span),
    Own(Span),
}

impl Piece {
    pub fn of<'b>(self, value: &'b [u8], own: &'b [u8]) -> &'b [u8] {
        match self {
            Piece::Sent(span) => span.of(value),
            Piece::Own(span) => span.of(own),
        }
    }
}

/// One accepted event, as places of its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    pub id: Piece,
    pub event_type: Piece,
    pub device_id: Piece,
    pub timestamp: i64,
    pub user_id: Option<Piece>,
    pub session_id: Option<Piece>,
    pub view_id: Option<Piece>,
    pub data: Option<Span>,
    pub extra: Option<Piece>,
}

/// The properties of an element: those that are fields, and the others in their order.
#[derive(Default)]
pub struct Properties {
    fields: [Option<Value>; Field::COUNT],
    aliases: [Option<Value>; Field::COUNT],
    others: Vec<(Str, Value)>,
    name: Vec<u8>,
}

impl Properties {
    pub fn clear(&mut self) {
        self.fields = [None; Field::COUNT];
        self.aliases = [None; Field::COUNT];
        empty(&mut self.others);
        empty(&mut self.name);
    }

    /// The last of a repeated name counts.
    #[inline]
    fn add(&mut self, tables: &Tables, text: &[u8], name: Str, value: Value) {
        let mut spelled = name.span.of(text);
        if name.escaped {
            self.name.clear();
            unescape(spelled, &mut self.name);
            spelled = &self.name;
        }
        if let Some(field) = Field::named(spelled) {
            self.fields[field as usize] = Some(value);
        } else if let Some(field) = tables.field_of_alias(spelled) {
            self.aliases[field as usize] = Some(value);
        } else {
            self.others.push((name, value));
        }
    }

    /// Reads the element at `place`; the place behind it.
    ///
    /// None stands for a value that is no object.
    pub fn read(
        &mut self,
        tables: &Tables,
        text: &[u8],
        place: usize,
    ) -> Result<(usize, Option<Kind>), Fault> {
        let mut cursor = Cursor::new(text, place);
        if cursor.peek()? != b'{' {
            let value = cursor.value(tables.limits.max_depth)?;
            return Ok((cursor.place, Some(value.kind)));
        }
        self.clear();
        cursor.properties(tables.limits.max_depth, |name, value| self.add(tables, text, name, value))?;
        Ok((cursor.place, None))
    }
}

/// What the rules look at, and where they put bytes of their own.
pub struct EventRules<'r> {
    pub tables: &'r Tables,
    pub text: &'r [u8],
    pub own: &'r mut Vec<u8>,
}

/// A text, and whether it is nothing but printable ASCII.
#[derive(Clone, Copy)]
struct Text {
    piece: Piece,
    plain: bool,
}

impl EventRules<'_> {
    /// The event of an object with these properties, or why there is none.
    pub fn event(&mut self, properties: &mut Properties) -> Result<Event, Refusal> {
        let id = self.required(properties, Field::Id)?;
        let event_type = self.required(properties, Field::Type)?;
        let device = self.required(properties, Field::DeviceId)?;
        if self.tables.is_no_device(self.bytes(device)) {
            return Err(Refusal::of(Rule::BlockedDevice, Field::DeviceId));
        }
        let timestamp = self.timestamp(properties)?;
        let user_id = self.optional(properties, Field::UserId)?;
        let session_id = self.optional(properties, Field::SessionId)?;
        let view_id = self.optional(properties, Field::ViewId)?;
        let data = self.data(properties)?;
        let extra = self.extra(properties)?;
        Ok(Event { id, event_type, device_id: device, timestamp, user_id, session_id, view_id, data, extra })
    }

    fn bytes(&self, piece: Piece) -> &[u8] {
        piece.of(self.text, self.own)
    }

    /// A string's text or an integer's digits; None for anything else.
    fn id_text(&mut self, value: &Value) -> Option<Text> {
        match value.kind {
            Kind::Integer => Some(Text { piece: Piece::Sent(value.span), plain: true }),
            Kind::String if value.is_escaped() => {
                let start = self.own.len();
                unescape(value.inside().of(self.text), self.own);
                Some(Text { piece: Piece::Own(Span::new(start, self.own.len())), plain: false })
            }
            Kind::String => Some(Text { piece: Piece::Sent(value.inside()), plain: value.is_plain() }),
            _ => None,
        }
    }

    /// The value of a field under its name or its other one. Both will do where they name the same text.
    fn found(&mut self, properties: &Properties, field: Field) -> Result<Option<Value>, Refusal> {
        let (found, other) = (properties.fields[field as usize], properties.aliases[field as usize]);
        let (Some(one), Some(again)) = (found, other) else { return Ok(other.or(found)) };
        if one.span.of(self.text) == again.span.of(self.text) {
            return Ok(other);
        }
        let before = self.own.len();
        let texts = (self.id_text(&one), self.id_text(&again));
        let alike = match texts {
            (Some(one), Some(again)) => self.bytes(one.piece) == self.bytes(again.piece),
            _ => false,
        };
        self.own.truncate(before);
        if alike { Ok(other) } else { Err(Refusal::of(Rule::ConflictingAlias, field)) }
    }

    fn required(&mut self, properties: &Properties, field: Field) -> Result<Piece, Refusal> {
        let Some(value) = self.found(properties, field)? else { return Err(self.missing(field)) };
        let text = self.text_of(&value, field)?;
        if self.tables.is_empty(self.bytes(text.piece)) {
            return Err(Refusal::of(Rule::Empty, field));
        }
        self.allowed(text, field)
    }

    fn missing(&self, field: Field) -> Refusal {
        let alone = self.tables.alias_of(field).is_empty();
        Refusal::of(if alone { Rule::Missing } else { Rule::MissingOrAlias }, field)
    }

    /// An integer will do for ids, which only the type is not.
    fn text_of(&mut self, value: &Value, field: Field) -> Result<Text, Refusal> {
        if field == self.tables.no_integer_field && value.kind != Kind::String {
            return Err(Refusal::of_kind(Rule::NoText, field, value.kind));
        }
        self.id_text(value).ok_or(Refusal::of_kind(Rule::NoId, field, value.kind))
    }

    fn allowed(&self, text: Text, field: Field) -> Result<Piece, Refusal> {
        let bytes = self.bytes(text.piece);
        if bytes.len() > self.tables.limits.max_text_bytes {
            return Err(Refusal::of_size(Rule::TooLong, field, bytes.len()));
        }
        if !text.plain && holds_control(bytes) {
            return Err(Refusal::of(Rule::HoldsControl, field));
        }
        Ok(text.piece)
    }

    fn optional(&mut self, properties: &Properties, field: Field) -> Result<Option<Piece>, Refusal> {
        let Some(value) = properties.fields[field as usize] else { return Ok(None) };
        if value.kind == Kind::Null {
            return Ok(None);
        }
        let text = self.text_of(&value, field)?;
        let tables = self.tables;
        let bytes = self.bytes(text.piece);
        let means_none =
            if field == Field::UserId { tables.is_no_user(bytes) } else { tables.means_none(bytes) };
        if means_none { Ok(None) } else { self.allowed(text, field).map(Some) }
    }

    fn timestamp(&self, properties: &Properties) -> Result<i64, Refusal> {
        let field = Field::Timestamp;
        let Some(value) = properties.fields[field as usize] else {
            return Err(self.missing(field));
        };
        if !matches!(value.kind, Kind::Integer | Kind::Number) {
            return Err(Refusal::of_kind(Rule::TimestampKind, field, value.kind));
        }
        let times = self.tables.times;
        times
            .milliseconds(value.span.of(self.text))
            .map_err(|rule| Refusal::showing(rule, field, Piece::Sent(value.span)))
    }

    fn data(&self, properties: &Properties) -> Result<Option<Span>, Refusal> {
        let field = Field::Data;
        let Some(value) = properties.fields[field as usize] else { return Ok(None) };
        let limits = &self.tables.limits;
        match value.kind {
            Kind::Null => return Ok(None),
            Kind::Object => {}
            kind => return Err(Refusal::of_kind(Rule::DataKind, field, kind)),
        }
        if value.is_nested() {
            return Err(Refusal::of(Rule::DataNested, field));
        }
        let mut count = value.names as usize;
        if value.may_be_reserved() || count > limits.max_properties {
            count = self.distinct_names(&value)?;
        }
        if count > limits.max_properties {
            return Err(Refusal::of_size(Rule::DataProperties, field, count));
        }
        if value.span.len() > limits.max_object_bytes {
            return Err(Refusal::of_size(Rule::TooLong, field, value.span.len()));
        }
        Ok(Some(value.span))
    }

    /// How many names `data` has, each counted once; refuses the first that is reserved, with its place.
    fn distinct_names(&self, data: &Value) -> Result<usize, Refusal> {
        let mut names = Names::new(self.text, data.names as usize);
        let mut reserved = None;
        let mut cursor = Cursor::new(self.text, data.span.start as usize);
        // What was read once is read again without a fault.
        let _ = cursor.properties(self.tables.limits.max_depth, |name, _| {
            let place = names.add(name);
            if reserved.is_none() && names.text(place).first() == Some(&b'_') {
                reserved = Some(place + 1);
            }
        });
        match reserved {
            Some(place) => Err(Refusal::of_size(Rule::DataReserved, Field::Data, place)),
            None => Ok(names.count()),
        }
    }

    /// An object of the properties that are no fields, names and values as they were sent.
    ///
    /// A repeated name has the place of the first and the spelling and value of the last.
    fn extra(&mut self, properties: &mut Properties) -> Result<Option<Piece>, Refusal> {
        let others = &mut properties.others;
        if others.is_empty() {
            return Ok(None);
        }
        let most = self.tables.limits.max_object_bytes;
        if others.len() > 1 {
            let mut names = Names::new(self.text, others.len().min(most / LEAST_OF_EXTRA + 1));
            for at in 0..others.len() {
                let place = names.add(others[at].0);
                others[place] = others[at];
                if names.count() * LEAST_OF_EXTRA + 1 > most {
                    return Err(Refusal::of(Rule::ExtraTooLong, Field::Extra));
                }
            }
            others.truncate(names.count());
        }
        let names_and_values: usize =
            others.iter().map(|(name, value)| name.span.len() + value.span.len()).sum();
        // Quotes, a colon, and a comma or a brace; and the other brace.
        if names_and_values + 4 * others.len() + 1 > most {
            return Err(Refusal::of(Rule::ExtraTooLong, Field::Extra));
        }
        let start = self.own.len();
        let mut before = b'{';
        for (name, value) in others.iter() {
            self.own.push(before);
            let quoted = Span { start: name.span.start - 1, end: name.span.end + 1 };
            self.own.extend_from_slice(quoted.of(self.text));
            self.own.push(b':');
            self.own.extend_from_slice(value.span.of(self.text));
            before = b',';
        }
        self.own.push(b'}');
        Ok(Some(Piece::Own(Span::new(start, self.own.len()))))
    }
}

/// A property of `extra` has so many bytes at least: quotes, a colon, a comma or a brace, and a digit.
const LEAST_OF_EXTRA: usize = 5;

/// Whether a character of the text is a control character, U+0000 to U+001F or U+007F to U+009F.
fn holds_control(text: &[u8]) -> bool {
    let mut before = 0;
    text.iter().any(|&byte| {
        let last = std::mem::replace(&mut before, byte);
        byte < 0x20 || byte == 0x7f || (last == 0xc2 && (0x80..0xa0).contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_of_many_properties_is_given_up() {
        let many = 1_000_000;
        let mut properties = Properties {
            others: Vec::with_capacity(many),
            name: Vec::with_capacity(many),
            ..Properties::default()
        };
        properties.clear();
        assert!(properties.others.capacity() < many && properties.name.capacity() < many);
    }
}
