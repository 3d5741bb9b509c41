//! Who is on the bus.
