//! The words of a query's text.

/// One word, and where it begins, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) at: usize,
    pub(crate) kind: Kind,
}

/// What a word is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A bare word: a field, `and`, a value.
    Word(String),
    /// A value in quotes.
    Quoted(String),
    /// `=`, `!=`, `~`, `<`, `<=`, `>`, `>=`.
    Operator(&'static str),
    /// `(`.
    Open,
    /// `)`.
    Close,
}

/// Longer ones first: the first that fits is taken.
const OPERATORS: [&str; 7] = ["!=", "<=", ">=", "=", "~", "<", ">"];

/// A quote that is not closed, by where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unclosed(pub(crate) usize);

/// Splits a text into its words.
///
/// A bare word ends at a blank, a quote, a parenthesis or an operator. In quotes, a backslash before
/// a backslash or the quote takes its meaning away; before anything else it stays, for expressions.
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, Unclosed> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let operator = OPERATORS.iter().find(|operator| rest.starts_with(**operator));
        let (kind, length) = match (c, operator) {
            ('(', _) => (Kind::Open, 1),
            (')', _) => (Kind::Close, 1),
            ('"' | '\'', _) => {
                let (value, length) = quoted(rest, c).ok_or(Unclosed(at))?;
                (Kind::Quoted(value), length)
            }
            (_, Some(operator)) => (Kind::Operator(operator), operator.len()),
            (_, None) => {
                // A `!` by itself is no operator, and ends words all the same.
                let length = rest.find(ends_word).unwrap_or(rest.len()).max(c.len_utf8());
                (Kind::Word(rest[..length].to_owned()), length)
            }
        };
        found.push(Token { at, kind });
        at += length;
    }
    Ok(found)
}

fn ends_word(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')' | '"' | '\'' | '=' | '!' | '~' | '<' | '>')
}

/// The value, and the bytes it took with its quotes.
fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Some((value, at + 1));
        }
        let escaped = |(_, next): &(usize, char)| c == '\\' && (*next == quote || *next == '\\');
        match chars.next_if(escaped) {
            Some((_, next)) => value.push(next),
            None => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        tokens(text).unwrap().into_iter().map(|token| token.kind).collect()
    }

    #[test]
    fn words_end_where_a_person_would_end_them() {
        let word = |text: &str| Kind::Word(text.to_owned());
        assert_eq!(
            kinds("type=ADT^A01 and(id>=7)"),
            [
                word("type"),
                Kind::Operator("="),
                word("ADT^A01"),
                word("and"),
                Kind::Open,
                word("id"),
                Kind::Operator(">="),
                word("7"),
                Kind::Close,
            ]
        );
        assert_eq!(kinds("!x"), [word("!"), word("x")]);
    }

    #[test]
    fn quotes_keep_what_expressions_need() {
        assert_eq!(kinds(r#""a\.b\"c\\d""#), [Kind::Quoted(r#"a\.b"c\d"#.to_owned())]);
        assert_eq!(kinds("'é (x) '"), [Kind::Quoted("é (x) ".to_owned())]);
        assert_eq!(tokens("  'open"), Err(Unclosed(2)));
        assert_eq!(tokens(r#""open\""#), Err(Unclosed(0)));
    }
}
