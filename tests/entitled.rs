//! Who gets sensitive events, and until when.
