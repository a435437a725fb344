//! Tables as they are given, plain values by name, and how the engine's own come of them.
//!
//! Knows names of fields, rules and tables; must not know who gives them. Invariant: whatever the engine does not
//! know, or misses, is an error when the tables are made, and not later.

use std::collections::HashMap;

use crate::json_scan::Kind;
use crate::placeholders::{Compared, Comparison, Words};
use crate::refusals::{Field, Rule, Template};
use crate::tables::{Limits, Tables};
use crate::timestamps::Times;

/// The texts that an event must have, and the ids that it may have, in the order in which they are judged.
const REQUIRED_TEXTS: [Field; 3] = [Field::Id, Field::Type, Field::DeviceId];
const OPTIONAL_IDS: [Field; 3] = [Field::UserId, Field::SessionId, Field::ViewId];

/// As `worker/core/engine_tables.py` makes them.
pub struct Given {
    pub limits: Limits,
    pub times: Times,
    /// Reason and detail by the name of a rule.
    pub refusals: HashMap<String, [String; 2]>,
    /// Words by the name of a kind of value.
    pub kinds: HashMap<String, String>,
    pub required_texts: Vec<String>,
    pub optional_ids: Vec<String>,
    pub no_integer_field: String,
    pub aliases: HashMap<String, String>,
    pub blocked_user_words: Vec<String>,
    pub blocked_device_words: Vec<String>,
    pub blocked_forms: bool,
    pub null_words: Vec<String>,
    pub no_value_words: Vec<String>,
    pub white_space: String,
    pub ascii_white_space: String,
    pub around_words: String,
    pub around_forms: String,
    /// The first and the last of some code points, and the character of ASCII that each is compared as.
    pub as_compared: Vec<(u32, u32, Option<char>)>,
}

impl Given {
    /// The tables, or what is wrong with them.
    pub fn tables(&self) -> Result<Tables, String> {
        self.check_fields()?;
        let mut white_space: Vec<u32> = self.white_space.chars().map(u32::from).collect();
        white_space.sort_unstable();
        Tables {
            limits: self.limits,
            times: self.times,
            templates: self.templates()?,
            kinds: by_place(&self.kinds, Kind::NAMES)?.into_iter().cloned().collect(),
            aliases: self.aliases()?,
            no_integer_field: field(&self.no_integer_field)?,
            comparison: self.comparison(),
            blocked_users: words(&self.blocked_user_words),
            blocked_devices: words(&self.blocked_device_words),
            null_words: words(&self.null_words),
            blocked_forms: self.blocked_forms,
            white_space,
        }
        .checked()
    }

    /// An engine that reads other texts and ids than the tables name is refused.
    fn check_fields(&self) -> Result<(), String> {
        for (known, names) in [(REQUIRED_TEXTS, &self.required_texts), (OPTIONAL_IDS, &self.optional_ids)] {
            if known.map(Field::name)[..] != names[..] {
                return Err(format!("the engine knows other fields than {}", names.join(", ")));
            }
        }
        Ok(())
    }

    fn templates(&self) -> Result<Vec<Template>, String> {
        let words = by_place(&self.refusals, Rule::NAMES)?;
        words.into_iter().map(|[reason, detail]| Template::new(reason, detail)).collect()
    }

    fn aliases(&self) -> Result<Vec<(Field, String)>, String> {
        let mut aliases = Vec::new();
        for known in REQUIRED_TEXTS {
            aliases.extend(self.aliases.get(known.name()).map(|alias| (known, alias.clone())));
        }
        if aliases.len() == self.aliases.len() {
            Ok(aliases)
        } else {
            Err("an alias of an unknown field".to_owned())
        }
    }

    fn comparison(&self) -> Comparison {
        let compared: Vec<Compared> = self
            .as_compared
            .iter()
            .map(|&(first, last, character)| Compared {
                first,
                last,
                as_byte: character.and_then(|found| u8::try_from(found).ok()),
            })
            .collect();
        Comparison::new(
            &compared,
            self.around_words.as_bytes(),
            self.around_forms.as_bytes(),
            self.ascii_white_space.as_bytes(),
            self.no_value_words.iter().map(String::as_bytes),
        )
    }
}

/// What is given for each of the names, in their order, and for nothing else.
fn by_place<'g, T>(given: &'g HashMap<String, T>, names: &[&str]) -> Result<Vec<&'g T>, String> {
    let found = |name: &&str| given.get(*name).ok_or_else(|| format!("nothing is given for {name}"));
    let places = names.iter().map(found).collect::<Result<Vec<_>, _>>()?;
    if given.len() == names.len() {
        Ok(places)
    } else {
        Err(format!("of {} names the engine knows {}", given.len(), names.len()))
    }
}

fn field(name: &str) -> Result<Field, String> {
    Field::by_name(name).ok_or_else(|| format!("the engine knows no field {name}"))
}

fn words(words: &[String]) -> Words {
    Words::new(words.iter().map(String::as_bytes))
}
