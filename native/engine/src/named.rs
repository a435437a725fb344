//! Closed lists whose members have the names that the readable engine gives them.
//!
//! It must not know any of them. Invariant: a member's number is its place among the names.

macro_rules! named {
    ($(#[$meta:meta])* $type:ident { $($variant:ident = $name:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $type { $($variant,)* }

        impl $type {
            pub const COUNT: usize = Self::NAMES.len();
            pub const NAMES: &[&str] = &[$($name,)*];

            /// What has that name.
            pub fn by_name(name: &str) -> Option<Self> {
                const ALL: &[$type] = &[$($type::$variant,)*];
                ALL.iter().copied().find(|one| one.name() == name)
            }

            pub fn name(self) -> &'static str {
                Self::NAMES[self as usize]
            }
        }
    };
}
