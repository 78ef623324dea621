//! A value in its three states: absent, HL7 null, present.

/// What a sender said about one value (HL7 v2 chapter 2, "population states").
///
/// The three must never be confused: absent says nothing, null asks for the value to be deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Value<T> {
    /// Nothing was sent: no inference may be drawn.
    #[default]
    Absent,
    /// Two double quotes (`""`) were sent: whatever is held is to be deleted.
    Null,
    /// A value was sent.
    Present(T),
}

impl<T> Value<T> {
    /// The value, if one was sent.
    pub fn as_present(&self) -> Option<&T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// The value, if one was sent, by value.
    pub fn into_option(self) -> Option<T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// Whether nothing was sent.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Whether the sender asked for deletion.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Whether a value was sent.
    pub fn is_present(&self) -> bool {
        matches!(self, Self::Present(_))
    }

    /// The same state around another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Value<U> {
        match self {
            Self::Absent => Value::Absent,
            Self::Null => Value::Null,
            Self::Present(value) => Value::Present(change(value)),
        }
    }

    /// The same state around a reference to the value.
    pub fn as_ref(&self) -> Value<&T> {
        match self {
            Self::Absent => Value::Absent,
            Self::Null => Value::Null,
            Self::Present(value) => Value::Present(value),
        }
    }
}

impl<T: Default> Value<T> {
    /// The value, or the type's default for both absent and null.
    pub fn unwrap_or_default(self) -> T {
        self.into_option().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::Value;

    #[test]
    fn null_is_neither_absent_nor_a_value() {
        let null: Value<&str> = Value::Null;
        assert!(null.is_null() && !null.is_absent() && !null.is_present());
        assert_eq!(null.as_present(), None);
        assert_eq!(null.map(str::len), Value::Null);
    }

    #[test]
    fn map_changes_only_what_is_present() {
        assert_eq!(Value::Present("abc").map(str::len), Value::Present(3));
        assert_eq!(Value::<&str>::Absent.map(str::len), Value::Absent);
        assert_eq!(Value::Present("abc").as_ref().into_option(), Some(&"abc"));
        assert_eq!(Value::<String>::Null.unwrap_or_default(), "");
    }
}
