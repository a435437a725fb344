//! How much memory is kept to be used again, so that one huge value leaves nothing behind.
//!
//! It must not know what lies in it. Invariant: what was emptied has room for `KEPT` entries at most.

/// Far more entries than a usual value fills.
const KEPT: usize = 1 << 16;

/// Removes all entries, and gives up room that only a huge value needs.
#[inline]
pub fn empty<T>(entries: &mut Vec<T>) {
    entries.clear();
    entries.shrink_to(KEPT);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_of_a_huge_value_is_given_up_and_that_of_a_usual_one_kept() {
        let mut huge = vec![0_u64; 1_000_000];
        empty(&mut huge);
        assert!(huge.is_empty() && huge.capacity() <= KEPT);
        let mut usual = Vec::<u8>::with_capacity(1_000);
        empty(&mut usual);
        assert_eq!(usual.capacity(), 1_000);
    }
}
