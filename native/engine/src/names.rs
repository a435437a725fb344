//! The different names of one object, in the order in which they first appear.
//!
//! Names are alike where they are the same text, however it is spelled. Invariants: the time is linear in the
//! names, whatever a hostile sender chooses; a name takes some twenty bytes.

use std::hash::{BuildHasher, RandomState};

use crate::json_scan::{Span, Str};
use crate::json_strings::unescape;

/// So few names are compared with each other, without a table.
const FEW: usize = 12;

#[derive(Clone, Copy)]
struct Entry {
    span: Span,
    own: bool,
}

pub struct Names<'t> {
    text: &'t [u8],
    own: Vec<u8>,
    entries: Vec<Entry>,
    /// Place of an entry + 1, or 0; at most half of it is in use. Empty where names are few.
    table: Vec<u32>,
    hasher: RandomState,
}

impl<'t> Names<'t> {
    /// Of an object in `text` with at most so many different names.
    pub fn new(text: &'t [u8], most: usize) -> Self {
        let table = if most <= FEW { Vec::new() } else { vec![0; (2 * most).next_power_of_two()] };
        Names { text, own: Vec::new(), entries: Vec::new(), table, hasher: RandomState::new() }
    }

    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// The text of the name at a place.
    pub fn text(&self, place: usize) -> &[u8] {
        let entry = self.entries[place];
        entry.span.of(if entry.own { &self.own } else { self.text })
    }

    /// The place of the name, which is a new one where it was not there.
    pub fn add(&mut self, name: Str) -> usize {
        let before = self.own.len();
        let entry = if name.escaped {
            unescape(name.span.of(self.text), &mut self.own);
            Entry { span: Span::new(before, self.own.len()), own: true }
        } else {
            Entry { span: name.span, own: false }
        };
        let place = self.entries.len();
        self.entries.push(entry);
        let known = if self.table.is_empty() { self.among_few(place) } else { self.in_table(place) };
        if let Some(known) = known {
            self.entries.pop();
            self.own.truncate(before);
            return known;
        }
        place
    }

    /// The earlier place of the last entry's name.
    fn among_few(&self, last: usize) -> Option<usize> {
        (0..last).find(|&place| self.text(place) == self.text(last))
    }

    /// The same; where there is none, the last entry gets its place in the table.
    fn in_table(&mut self, last: usize) -> Option<usize> {
        let mask = self.table.len() - 1;
        let mut slot = self.hasher.hash_one(self.text(last)) as usize & mask;
        loop {
            match self.table[slot] as usize {
                0 => {
                    self.table[slot] = last as u32 + 1;
                    return None;
                }
                found if self.text(found - 1) == self.text(last) => return Some(found - 1),
                _ => slot = (slot + 1) & mask,
            }
        }
    }
}
