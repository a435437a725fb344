//! Why values and events are refused: which rule, of which field, and what of it the sender is told.
//!
//! Knows no words: reasons and details are templates of the table. Invariant: a detail names the field and the
//! fault, and never the value of a text.

use crate::event_rules::Piece;
use crate::json_scan::{Kind, Span};
use crate::tables::Tables;

named! {
    /// A field of an event.
    Field {
        Id = "id",
        Type = "type",
        DeviceId = "device_id",
        Timestamp = "timestamp",
        UserId = "user_id",
        SessionId = "session_id",
        ViewId = "view_id",
        Data = "data",
        Extra = "extra",
    }
}

impl Field {
    /// The field of that name. `extra` is none that a sender can name.
    #[inline]
    pub fn named(name: &[u8]) -> Option<Field> {
        Some(match name {
            b"id" => Field::Id,
            b"type" => Field::Type,
            b"device_id" => Field::DeviceId,
            b"timestamp" => Field::Timestamp,
            b"user_id" => Field::UserId,
            b"session_id" => Field::SessionId,
            b"view_id" => Field::ViewId,
            b"data" => Field::Data,
            _ => return None,
        })
    }
}

named! {
    /// A rule that a value or an event can break, by the name of its template.
    Rule {
        Tombstone = "tombstone",
        EmptyValue = "empty_value",
        TooLarge = "too_large",
        TooManyEvents = "too_many_events",
        ValueNotUtf8 = "value_not_utf8",
        ValueBinary = "value_binary",
        NotEvents = "not_events",
        RestNotUtf8 = "rest_not_utf8",
        RestTooDeep = "rest_too_deep",
        EndsTooEarly = "ends_too_early",
        NotUtf8 = "not_utf8",
        TooDeep = "too_deep",
        Malformed = "malformed",
        Nothing = "nothing",
        NotObject = "not_object",
        MissingOrAlias = "missing_or_alias",
        Missing = "missing",
        ConflictingAlias = "conflicting_alias",
        NoId = "no_id",
        NoText = "no_text",
        Empty = "empty",
        TooLong = "too_long",
        HoldsControl = "holds_control",
        BlockedDevice = "blocked_device",
        TimestampKind = "timestamp_kind",
        TimestampFraction = "timestamp_fraction",
        TimestampRange = "timestamp_range",
        DataKind = "data_kind",
        DataNested = "data_nested",
        DataReserved = "data_reserved",
        DataProperties = "data_properties",
        ExtraTooLong = "extra_too_long",
    }
}

/// A rule that was broken, and what its detail names. What a template does not name has no meaning.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    pub rule: Rule,
    pub field: Field,
    pub kind: Kind,
    pub size: usize,
    pub shown: Piece,
}

/// So many bytes of a number are shown, and where there are more, that there are.
const SHOWN_BYTES: usize = 40;

impl Refusal {
    pub fn of(rule: Rule, field: Field) -> Self {
        Refusal { rule, field, kind: Kind::Null, size: 0, shown: Piece::Sent(Span::default()) }
    }

    /// Of a value or an element, and of no field.
    pub fn whole(rule: Rule) -> Self {
        Refusal::of(rule, Field::Id)
    }

    pub fn of_kind(rule: Rule, field: Field, kind: Kind) -> Self {
        Refusal { kind, ..Refusal::of(rule, field) }
    }

    pub fn of_size(rule: Rule, field: Field, size: usize) -> Self {
        Refusal { size, ..Refusal::of(rule, field) }
    }

    pub fn showing(rule: Rule, field: Field, shown: Piece) -> Self {
        Refusal { shown, ..Refusal::of(rule, field) }
    }

    /// Whether the details of both are surely the same.
    pub fn reads_as(&self, other: &Refusal) -> bool {
        let shows_nothing = self.shown == Piece::Sent(Span::default());
        shows_nothing
            && (self.rule, self.field, self.kind, self.size)
                == (other.rule, other.field, other.kind, other.size)
    }

    /// What the sender is told. `value` and `own` are those of which the pieces are.
    pub fn detail(&self, tables: &Tables, value: &[u8], own: &[u8]) -> String {
        let mut detail = String::new();
        for part in &tables.templates[self.rule as usize].parts {
            match part {
                Part::Words(words) => detail.push_str(words),
                Part::Field => detail.push_str(self.field.name()),
                Part::Other => detail.push_str(tables.alias_of(self.field)),
                Part::Got => detail.push_str(&tables.kinds[self.kind as usize]),
                Part::Size => detail.push_str(&self.size.to_string()),
                Part::Most => detail.push_str(&self.most(tables).to_string()),
                Part::Shown => {
                    let shown = self.shown.of(value, own);
                    let part = &shown[..shown.len().min(SHOWN_BYTES)];
                    detail.push_str(&String::from_utf8_lossy(part));
                    detail.push_str(if part.len() < shown.len() { "..." } else { "" });
                }
                Part::All => detail.push_str(&String::from_utf8_lossy(self.shown.of(value, own))),
            }
        }
        detail
    }

    /// The limit that the rule is about.
    fn most(&self, tables: &Tables) -> usize {
        let limits = &tables.limits;
        match (self.rule, self.field) {
            (Rule::TooLarge, _) => limits.max_value_bytes,
            (Rule::TooManyEvents, _) => limits.max_events,
            (Rule::TooDeep | Rule::RestTooDeep, _) => limits.max_depth,
            (Rule::DataProperties, _) => limits.max_properties,
            (_, Field::Data | Field::Extra) => limits.max_object_bytes,
            _ => limits.max_text_bytes,
        }
    }
}

/// The reason and the detail for a rule that is broken.
#[derive(Debug)]
pub struct Template {
    pub reason: String,
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Words(String),
    Field,
    Other,
    Got,
    Size,
    Most,
    Shown,
    All,
}

impl Template {
    /// Of a text with names in braces; what stands in braces and is no name is an error.
    pub fn new(reason: &str, text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut left = text;
        while let Some((words, behind)) = left.split_once('{') {
            let (name, rest) = behind.split_once('}').ok_or_else(|| format!("a brace is open in: {text}"))?;
            parts.push(Part::Words(words.to_owned()));
            parts.push(match name {
                "field" => Part::Field,
                "other" => Part::Other,
                "got" => Part::Got,
                "size" => Part::Size,
                "most" => Part::Most,
                "shown" => Part::Shown,
                "all" => Part::All,
                _ => return Err(format!("{name} is nothing that a detail can name: {text}")),
            });
            left = rest;
        }
        parts.push(Part::Words(left.to_owned()));
        Ok(Template { reason: reason.to_owned(), parts })
    }
}
