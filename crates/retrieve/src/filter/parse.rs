//! Text to a filter. An error points at the place and says what could stand
//! there.

use super::{Node, Operator, Value};

/// Deeper nesting is a mistake, and would use up the stack.
const DEEPEST: usize = 64;
const OPERATOR: &str = "one of `=` `!=` `~` `!~` `<` `<=` `>` `>=`";
const START: &str = "a key, `not` or `(`";

/// Why a text is not a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the filter is wrong at column {column}: expected {expected}, found {found}")]
pub struct FilterError {
    pub filter: String,
    /// In characters, from 1.
    pub column: usize,
    pub expected: String,
    pub found: String,
}

impl FilterError {
    /// The filter, and below it a mark at the place.
    pub fn pointed(&self) -> String {
        format!("{}\n{:>width$}", self.filter, '^', width = self.column)
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Quoted(String),
    Operator(Operator),
    Open,
    Close,
    End,
}

struct Parser<'a> {
    text: &'a str,
    /// Where the next token begins, and it.
    at: usize,
    token: Token,
    end: usize,
    depth: usize,
}

pub(super) fn parse(text: &str) -> Result<Node, FilterError> {
    let mut parser = Parser { text, at: 0, token: Token::End, end: 0, depth: 0 };
    parser.advance()?;
    let node = parser.any()?;
    match parser.token {
        Token::End => Ok(node),
        _ => Err(parser.wrong("`and`, `or` or the end")),
    }
}

impl Parser<'_> {
    fn any(&mut self) -> Result<Node, FilterError> {
        let mut nodes = vec![self.all()?];
        while self.is_word("or") {
            self.advance()?;
            nodes.push(self.all()?);
        }
        Ok(one_or(nodes, Node::Any))
    }

    fn all(&mut self) -> Result<Node, FilterError> {
        let mut nodes = vec![self.one()?];
        while self.is_word("and") {
            self.advance()?;
            nodes.push(self.one()?);
        }
        Ok(one_or(nodes, Node::All))
    }

    fn one(&mut self) -> Result<Node, FilterError> {
        if self.depth == DEEPEST {
            return Err(self.wrong("no deeper nesting"));
        }
        self.depth += 1;
        let node = if self.is_word("not") {
            self.advance()?;
            Node::Not(Box::new(self.one()?))
        } else if self.token == Token::Open {
            self.advance()?;
            let node = self.any()?;
            if self.token != Token::Close {
                return Err(self.wrong("`and`, `or` or `)`"));
            }
            self.advance()?;
            node
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(node)
    }

    fn comparison(&mut self) -> Result<Node, FilterError> {
        let key = match &self.token {
            Token::Word(word) if !is_reserved(word) && is_key(word) => word.clone(),
            Token::Quoted(text) => text.clone(),
            _ => return Err(self.wrong(START)),
        };
        self.advance()?;
        let Token::Operator(operator) = self.token else { return Err(self.wrong(OPERATOR)) };
        self.advance()?;
        let value = match &self.token {
            Token::Word(word) if !is_reserved(word) => Value::bare(word),
            Token::Quoted(text) => Value::quoted(text),
            _ => {
                return Err(
                    self.wrong("a value, such as `pdf`, `2024-01-31`, `3.5` or `\"some text\"`")
                );
            }
        };
        self.advance()?;
        Ok(Node::Compare { key, operator, value })
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(&self.token, Token::Word(found) if found.eq_ignore_ascii_case(word))
    }

    fn advance(&mut self) -> Result<(), FilterError> {
        let rest = &self.text[self.end..];
        self.at = self.end + (rest.len() - rest.trim_start().len());
        let rest = &self.text[self.at..];
        let two = rest.get(..2).and_then(operator).map(|operator| (Token::Operator(operator), 2));
        let one = rest.get(..1).and_then(operator).map(|operator| (Token::Operator(operator), 1));
        let (token, length) = match rest.chars().next() {
            None => (Token::End, 0),
            Some('(') => (Token::Open, 1),
            Some(')') => (Token::Close, 1),
            Some(quote @ ('"' | '\'')) => self.quoted(quote)?,
            Some(_) => match two.or(one) {
                Some(found) => found,
                None => word(rest),
            },
        };
        (self.token, self.end) = (token, self.at + length);
        Ok(())
    }

    /// A text in quotes, in which `\` takes the next character as it is.
    fn quoted(&self, quote: char) -> Result<(Token, usize), FilterError> {
        let mut text = String::new();
        let mut is_escaped = false;
        for (at, character) in self.text[self.at..].char_indices().skip(1) {
            match character {
                '\\' if !is_escaped => is_escaped = true,
                _ if character == quote && !is_escaped => {
                    return Ok((Token::Quoted(text), at + quote.len_utf8()));
                }
                _ => {
                    text.push(character);
                    is_escaped = false;
                }
            }
        }
        let found = "the end".to_owned();
        Err(self.error(self.text.len(), format!("`{quote}` after the text in quotes"), found))
    }

    fn wrong(&self, expected: &str) -> FilterError {
        let found = match &self.token {
            Token::End => "the end".to_owned(),
            _ => format!("`{}`", &self.text[self.at..self.end]),
        };
        self.error(self.at, expected.to_owned(), found)
    }

    fn error(&self, at: usize, expected: String, found: String) -> FilterError {
        let column = self.text[..at].chars().count() + 1;
        FilterError { filter: self.text.to_owned(), column, expected, found }
    }
}

fn one_or(mut nodes: Vec<Node>, many: impl FnOnce(Vec<Node>) -> Node) -> Node {
    match (nodes.pop(), nodes.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            nodes.extend(last);
            many(nodes)
        }
    }
}

fn operator(text: &str) -> Option<Operator> {
    Some(match text {
        "=" | "==" => Operator::Equal,
        "!=" => Operator::NotEqual,
        "~" => Operator::Contains,
        "!~" => Operator::ContainsNot,
        "<" => Operator::Less,
        "<=" => Operator::LessOrEqual,
        ">" => Operator::Greater,
        ">=" => Operator::GreaterOrEqual,
        _ => return None,
    })
}

fn word(rest: &str) -> (Token, usize) {
    let ends = |c: char| {
        c.is_whitespace() || matches!(c, '(' | ')' | '"' | '\'' | '=' | '~' | '<' | '>' | '!')
    };
    // A single `!` is a word too, so that every token is longer than nothing.
    let first = rest.chars().next().map_or(0, char::len_utf8);
    let length = rest[first..].find(ends).map_or(rest.len(), |end| first + end);
    (Token::Word(rest[..length].to_owned()), length)
}

fn is_key(word: &str) -> bool {
    word.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

fn is_reserved(word: &str) -> bool {
    ["and", "or", "not"].iter().any(|reserved| word.eq_ignore_ascii_case(reserved))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn fails(filter: &str, column: usize, message: &str) {
        let error = parse(filter).unwrap_err();
        let want = format!("the filter is wrong at column {column}: expected {message}");
        assert_eq!(error.to_string(), want);
    }

    #[test]
    fn a_mistake_is_pointed_at() {
        fails("", 1, "a key, `not` or `(`, found the end");
        fails("path", 5, "one of `=` `!=` `~` `!~` `<` `<=` `>` `>=`, found the end");
        fails("path ? x", 6, "one of `=` `!=` `~` `!~` `<` `<=` `>` `>=`, found `?`");
        fails("é = 1 and and", 11, "a key, `not` or `(`, found `and`");
        fails("a = 1 b = 2", 7, "`and`, `or` or the end, found `b`");
        fails("(a = 1", 7, "`and`, `or` or `)`, found the end");
        fails("a = \"x", 7, "`\"` after the text in quotes, found the end");
        fails(
            "a = )",
            5,
            "a value, such as `pdf`, `2024-01-31`, `3.5` or `\"some text\"`, found `)`",
        );
        fails("a/b = 1", 1, "a key, `not` or `(`, found `a/b`");
        fails(&"(".repeat(65), 65, "no deeper nesting, found `(`");
        let error = parse("path ? x").unwrap_err();
        assert_eq!(error.pointed(), "path ? x\n     ^");
    }

    #[test]
    fn quotes_and_bare_words_are_values() {
        let value = |filter| match parse(filter).unwrap() {
            Node::Compare { value, .. } => value,
            node => panic!("{node:?}"),
        };
        assert_eq!(value(r#"a="say \"hi\" \\""#), Value::quoted(r#"say "hi" \"#));
        assert_eq!(value("a='it is'"), Value::quoted("it is"));
        assert_eq!(value("a~docs/x-1.md"), Value::bare("docs/x-1.md"));
        assert_ne!(value("a=3"), value("a='3'"));
    }

    fn node() -> impl Strategy<Value = Node> {
        use Operator::{
            Contains, ContainsNot, Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual,
        };
        let operators = vec![
            Contains,
            ContainsNot,
            Equal,
            Greater,
            GreaterOrEqual,
            Less,
            LessOrEqual,
            NotEqual,
        ];
        let compare = ("\\PC{0,6}", prop::sample::select(operators), "\\PC{0,6}").prop_map(
            |(key, operator, value)| {
                let value = Value::quoted(&value);
                Node::Compare { key, operator, value }
            },
        );
        compare.prop_recursive(4, 20, 3, |inner| {
            let many = || prop::collection::vec(inner.clone(), 2..4);
            prop_oneof![
                many().prop_map(Node::All),
                many().prop_map(Node::Any),
                inner.clone().prop_map(|node| Node::Not(Box::new(node))),
            ]
        })
    }

    fn print(node: &Node) -> String {
        let quote = |text: &str| format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""));
        let join = |nodes: &[Node], word: &str| {
            nodes.iter().map(|node| format!("({})", print(node))).collect::<Vec<_>>().join(word)
        };
        match node {
            Node::All(nodes) => join(nodes, " and "),
            Node::Any(nodes) => join(nodes, "OR"),
            Node::Not(node) => format!("not ({})", print(node)),
            Node::Compare { key, operator: found, value } => {
                let signs = ["=", "!=", "~", "!~", "<", "<=", ">", ">="];
                let sign = signs.iter().find(|sign| operator(sign) == Some(*found)).unwrap();
                format!("{}{sign}{}", quote(key), quote(&value.text))
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(node in node()) {
            prop_assert_eq!(parse(&print(&node)).map_err(|e| e.to_string()), Ok(node));
        }

        #[test]
        fn every_text_is_a_filter_or_an_error_within_it(text in "[a-z=~!<>()'\" 0-9é\\\\-]{0,30}") {
            if let Err(error) = parse(&text) {
                prop_assert!((1..=text.chars().count() + 1).contains(&error.column));
                error.pointed();
            }
        }
    }
}
