//! What the rules are given: limits, words, characters and the templates of refusals.
//!
//! Holds them as the readable engine has them; decides nothing but how a text is looked up. Invariant: a table
//! that lacks something is refused when it is made, so that nothing is missing later.

use crate::json_scan::Kind;
use crate::placeholders::{Comparison, Words};
use crate::refusals::{Field, Rule, Template};
use crate::timestamps::Times;

/// The recursion of the parser is as deep as this at most.
const MOST_LEVELS: usize = 1_000;

/// Of what is accepted and kept, by the names of the options.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub max_value_bytes: usize,
    pub max_events: usize,
    pub max_text_bytes: usize,
    pub max_object_bytes: usize,
    pub max_properties: usize,
    pub max_depth: usize,
    /// So much of a value over the limit is kept in its rejection; the detail has the hash of all of it.
    pub kept_of_too_large_bytes: usize,
}

/// All of it. `kinds` are the words for kinds of values, in the order of `Kind`.
#[derive(Debug)]
pub struct Tables {
    pub limits: Limits,
    pub times: Times,
    pub templates: Vec<Template>,
    pub kinds: Vec<String>,
    pub aliases: Vec<(Field, String)>,
    /// The one text of which an integer is none.
    pub no_integer_field: Field,
    pub comparison: Comparison,
    pub blocked_users: Words,
    pub blocked_devices: Words,
    pub null_words: Words,
    pub blocked_forms: bool,
    /// Code points that show nothing, in ascending order: a text of nothing else is empty.
    pub white_space: Vec<u32>,
}

impl Tables {
    /// The same, or what is wrong with them.
    pub fn checked(self) -> Result<Self, String> {
        if self.limits.max_depth > MOST_LEVELS {
            return Err(format!("max_depth is at most {MOST_LEVELS}"));
        }
        if self.limits.max_value_bytes > i32::MAX as usize {
            return Err("max_value_bytes is at most 2**31 - 1".to_owned());
        }
        if self.templates.len() != Rule::COUNT || self.kinds.len() != Kind::COUNT {
            return Err("there is a template for each rule, and a word for each kind".to_owned());
        }
        Ok(self)
    }

    pub fn field_of_alias(&self, name: &[u8]) -> Option<Field> {
        self.aliases.iter().find(|(_, alias)| alias.as_bytes() == name).map(|(field, _)| *field)
    }

    pub fn alias_of(&self, field: Field) -> &str {
        self.aliases.iter().find(|(of, _)| *of == field).map_or("", |(_, alias)| alias)
    }

    /// Whether a text is nothing but white space.
    pub fn is_empty(&self, text: &[u8]) -> bool {
        if text.first().is_some_and(u8::is_ascii_graphic) {
            return false;
        }
        let text = String::from_utf8_lossy(text);
        text.chars().all(|character| self.white_space.binary_search(&u32::from(character)).is_ok())
    }

    pub fn is_no_device(&self, text: &[u8]) -> bool {
        self.comparison.names_nobody(text, &self.blocked_devices, self.blocked_forms)
    }

    pub fn is_no_user(&self, text: &[u8]) -> bool {
        self.comparison.names_nobody(text, &self.blocked_users, self.blocked_forms)
    }

    /// Whether the text of a session or view id means none.
    pub fn means_none(&self, text: &[u8]) -> bool {
        self.comparison.is_word(text, &self.null_words)
    }
}
