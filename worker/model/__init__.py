"""Values that pass between the rooms: msgspec structs, without behaviour."""
