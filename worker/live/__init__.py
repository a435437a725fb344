"""``sessionizer live``: a page on which one sees a session come to be, fed from the output topics."""
