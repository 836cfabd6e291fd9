//! Grammars against a toy tokenizer, without a model.

use std::sync::{Arc, OnceLock};

use plumb_text::Tokenizer;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::Constraint;

/// All bytes in GPT-2's spelling, some merges, and a token that ends the turn.
fn tokenizer() -> Arc<Tokenizer> {
    let mut next = 0x100_u32..;
    let spelling = |byte: u8| match byte {
        b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => char::from(byte),
        _ => char::from_u32(next.next().unwrap()).unwrap(),
    };
    let mut tokens: Vec<String> = (0..=255).map(spelling).map(String::from).collect();
    let merges = [
        ("t", "h"),
        ("th", "e"),
        ("\u{120}", "the"),
        ("c", "a"),
        ("ca", "t"),
        ("\u{120}", "cat"),
        ("t", "r"),
        ("u", "e"),
        ("tr", "ue"),
        ("\"", ":"),
        ("n", "a"),
        ("na", "me"),
        ("m", "e"),
        ("1", "2"),
        ("\u{c3}", "\u{bc}"),
    ];
    tokens.extend(merges.iter().map(|(left, right)| format!("{left}{right}")));
    let vocab: serde_json::Map<String, Value> =
        tokens.iter().enumerate().map(|(id, token)| (token.clone(), id.into())).collect();
    let end = tokens.len();
    let added = |id: usize, content: &str| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false, "special": true})
    };
    let file = json!({
        "version": "1.0",
        "added_tokens": [added(end, "<|im_end|>"), added(end + 1, "<|im_start|>")],
        "normalizer": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
            "use_regex": true},
        "post_processor": null,
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true,
            "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "vocab": vocab,
            "merges": merges.map(|(left, right)| format!("{left} {right}"))},
    });
    Arc::new(Tokenizer::from_json(file.to_string().as_bytes()).unwrap())
}

fn vocabulary() -> &'static (Arc<Tokenizer>, GrammarVocabulary) {
    static MADE: OnceLock<(Arc<Tokenizer>, GrammarVocabulary)> = OnceLock::new();
    MADE.get_or_init(|| {
        let tokenizer = tokenizer();
        (tokenizer.clone(), GrammarVocabulary::new(tokenizer).unwrap())
    })
}

/// Writes as a model with random preferences would, and says whether it came to
/// an end. With `is_fast` forced tokens are taken without asking.
fn write(grammar: &Grammar, preferences: u64, is_fast: bool) -> (Vec<u32>, bool) {
    let tokenizer = &vocabulary().0;
    let mut constraint = grammar.constraint();
    let mut generated: Vec<u32> = Vec::new();
    while generated.len() < 300 {
        let mut next = if is_fast { constraint.forced(&generated) } else { Vec::new() };
        if next.is_empty() {
            let place = generated.len() as u64;
            let preference = |token: u64| {
                let mixed =
                    (preferences ^ (place * 1000 + token)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                (mixed >> 40) as f32
            };
            let mut logits: Vec<f32> = (0..tokenizer.vocab_size() as u64).map(preference).collect();
            constraint.mask(&generated, &mut logits);
            let order =
                |a: &(usize, &f32), b: &(usize, &f32)| a.1.total_cmp(b.1).then(b.0.cmp(&a.0));
            let (token, best) = logits.iter().enumerate().max_by(order).unwrap();
            assert!(f32::NEG_INFINITY < *best, "{:?}", constraint.failure());
            next.push(u32::try_from(token).unwrap());
        }
        for token in next {
            if tokenizer.stop_ids().contains(&token) {
                return (generated, true);
            }
            assert!(!tokenizer.is_control(token), "token {token}");
            generated.push(token);
        }
    }
    (generated, false)
}

/// The text of [`write`], the same with and without forced tokens.
#[track_caller]
fn text(grammar: &Grammar, preferences: u64) -> (String, bool) {
    let (tokens, ended) = write(grammar, preferences, false);
    assert_eq!(write(grammar, preferences, true), (tokens.clone(), ended));
    (vocabulary().0.decode(&tokens), ended)
}

#[track_caller]
fn error(made: Result<Grammar, Error>) -> String {
    let message = made.err().expect("a grammar that is wrong").to_string();
    assert!(!message.contains('\n') && message.len() < 600, "{message}");
    message
}

#[test]
fn a_schema_gives_json_that_it_describes() {
    let schema = json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 8},
            "true": {"type": "boolean"},
            "kind": {"enum": ["cat", "the cat", 12]},
            "ages": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 99},
                "maxItems": 3},
        },
        "required": ["name", "true", "kind", "ages"],
        "additionalProperties": false,
    });
    let grammar = Grammar::json_schema(&vocabulary().1, &schema.to_string()).unwrap();
    for preferences in 0..30 {
        let (text, ended) = text(&grammar, preferences);
        assert!(ended, "{text}");
        let value: Value = serde_json::from_str(&text).unwrap();
        assert!(value["name"].as_str().unwrap().chars().count() <= 8, "{text}");
        assert!(value["true"].is_boolean() && value["ages"].as_array().unwrap().len() <= 3);
        assert!(
            ["cat", "the cat"].map(Value::from).contains(&value["kind"]) || value["kind"] == 12
        );
        assert!(text.starts_with("{\"name\": \""), "{text}");
    }
}

#[test]
fn names_of_a_schema_are_forced_and_read_at_once() {
    let schema = r#"{"type": "object", "properties": {"name": {"type": "boolean"}},
        "required": ["name"], "additionalProperties": false}"#;
    let grammar = Grammar::json_schema(&vocabulary().1, schema).unwrap();
    let forced = grammar.constraint().forced(&[]);
    assert!(3 <= forced.len(), "{forced:?}");
    assert!(vocabulary().0.decode(&forced).starts_with("{\"name"));
}

#[test]
fn a_pattern_is_matched_from_beginning_to_end() {
    let grammar = Grammar::regex(&vocabulary().1, r"(cat|the cat|\u{fc}ber/\d{1,3})!").unwrap();
    for preferences in 0..30 {
        let (text, ended) = text(&grammar, preferences);
        let digits = text.strip_prefix("\u{fc}ber/").and_then(|rest| rest.strip_suffix('!'));
        let is_number = digits.is_some_and(|d| (1..=3).contains(&d.chars().count()));
        assert!(ended && (["cat!", "the cat!"].contains(&text.as_str()) || is_number), "{text}");
    }
}

#[test]
fn a_grammar_may_nest() {
    let source = "start: list\nlist: \"[\" (list (\",\" list)*)? \"]\" | /[12]/";
    let grammar = Grammar::lark(&vocabulary().1, source).unwrap();
    let mut ends = 0;
    for preferences in 0..20 {
        let (text, ended) = text(&grammar, preferences);
        let depth = |c: char| text.matches(c).count();
        assert!(!ended || depth('[') == depth(']'), "{text}");
        ends += usize::from(ended);
    }
    assert!(0 < ends);
}

#[test]
fn a_quotation_is_a_stretch_of_a_text_in_whole_words() {
    let texts = ["The cat sat on the mat. \u{dc}ber \"uns\"\n12 km", "a (very) different text", ""];
    let grammar = Grammar::substring_of(&vocabulary().1, &texts).unwrap();
    for preferences in 0..30 {
        let (text, ended) = text(&grammar, preferences);
        assert!(ended && !text.is_empty());
        assert!(texts.iter().any(|all| all.contains(&text)), "{text:?}");
        assert!(!text.starts_with("at") && !text.ends_with("ca"), "{text:?}");
    }
}

#[test]
fn grammars_are_shared_by_threads_and_constraints_go_to_one() {
    fn shared<T: Send + Sync>() {}
    fn sent<T: Send>() {}
    shared::<crate::LanguageModel>();
    shared::<Grammar>();
    sent::<GrammarConstraint>();
}

#[test]
fn every_generation_begins_at_the_beginning() {
    let grammar = Grammar::regex(&vocabulary().1, "cat|the").unwrap();
    let first = write(&grammar, 3, false);
    assert_eq!(write(&grammar, 3, false), first);
}

#[test]
fn a_token_that_the_grammar_forbids_is_a_failure_with_a_reason() {
    let grammar = Grammar::regex(&vocabulary().1, "cat").unwrap();
    let mut constraint = grammar.constraint();
    let mut logits = vec![0.0; vocabulary().0.vocab_size()];
    constraint.mask(&[u32::from(b'x')], &mut logits);
    assert!(logits.iter().all(|logit| *logit == f32::NEG_INFINITY));
    assert!(constraint.failure().is_some());
    assert!(constraint.forced(&[u32::from(b'x')]).is_empty());
}

#[test]
fn what_is_wrong_is_named() {
    let vocabulary = &vocabulary().1;
    let schema = |text: &str| error(Grammar::json_schema(vocabulary, text));
    let regex = |text: &str| error(Grammar::regex(vocabulary, text));
    let lark = |text: &str| error(Grammar::lark(vocabulary, text));
    let cases = [
        (schema("{\"type\": "), "JSON schema", "line 1"),
        (schema("{\"type\": \"strnig\"}"), "JSON schema", "strnig"),
        (schema("{\"type\": \"object\", \"$ref\": \"#/definitions/cat\"}"), "JSON schema", "cat"),
        (schema("{\"type\": \"array\", \"uniqueItems\": true}"), "JSON schema", "uniqueItems"),
        (schema("{\"type\": \"string\", \"pattern\": \"(\"}"), "JSON schema", "("),
        (schema("12"), "JSON schema", "object or boolean"),
        (regex("cat("), "regular expression", "unclosed"),
        (regex("cat\\"), "regular expression", "escape"),
        (regex("(?=cat)"), "regular expression", "look"),
        (lark("begin: \"cat\""), "grammar", "start"),
        (lark("start: cat"), "grammar", "cat"),
        (lark("start: <|im_start|>"), "grammar", "special token"),
        (error(Grammar::substring_of(vocabulary, &[""])), "text to quote from", "none"),
    ];
    for (message, kind, part) in cases {
        assert!(message.contains(kind) && message.contains(part), "{message} ({part})");
    }
}

#[test]
fn hostile_grammars_are_refused_and_not_a_crash() {
    let vocabulary = &vocabulary().1;
    let nested = |open: &str, close: &str, times| open.repeat(times) + "a" + &close.repeat(times);
    let too_deep = "has more than 100 brackets open at once";
    assert!(error(Grammar::regex(vocabulary, &nested("(", ")", 200))).contains(too_deep));
    let source = format!("start: {}", nested("(", ")", 9999));
    assert!(error(Grammar::lark(vocabulary, &source)).contains(too_deep));
    let long = "a".repeat(2 << 20);
    for made in [
        Grammar::regex(vocabulary, &long),
        Grammar::lark(vocabulary, &long),
        Grammar::json_schema(vocabulary, &long),
    ] {
        assert!(error(made).contains("2097152 bytes; at most 65536 are read"));
    }
    assert!(error(Grammar::substring_of(vocabulary, &[&long, &long])).contains("4194304 bytes"));
    error(Grammar::json_schema(vocabulary, &nested("{\"not\":", "}", 5000)));
    error(Grammar::regex(vocabulary, &"[a-z]?".repeat(9000)));
}

#[test]
fn long_chains_of_rules_do_not_overflow_the_stack() {
    let vocabulary = &vocabulary().1;
    let mut rules = String::from("start: r0\n");
    let mut terminals = String::from("start: R0\n");
    let mut definitions = serde_json::Map::new();
    for i in 0..1800 {
        rules.push_str(&format!("r{i}: r{}\n", i + 1));
        terminals.push_str(&format!("R{i}: R{} \"b\"\n", i + 1));
        let next = format!("#/$defs/d{}", i + 1);
        definitions.insert(format!("d{i}"), json!({"$ref": next}));
    }
    definitions.insert("d1800".to_owned(), json!({"type": "boolean"}));
    let schema = json!({"$ref": "#/$defs/d0", "$defs": definitions}).to_string();
    for grammar in [
        Grammar::lark(vocabulary, &(rules + "r1800: \"a\"")),
        Grammar::lark(vocabulary, &(terminals + "R1800: \"a\"")),
        Grammar::json_schema(vocabulary, &schema),
    ] {
        write(&grammar.unwrap(), 1, false);
    }
}

#[test]
fn many_texts_can_be_quoted_from() {
    let texts: Vec<String> = (0..3000).map(|i| format!("the cat {i} is here. ")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let grammar = Grammar::substring_of(&vocabulary().1, &texts).unwrap();
    let (text, _) = text(&grammar, 5);
    assert!(texts.iter().any(|all| all.contains(&text)), "{text:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_pattern_panics(pattern in prop_oneof![
        "\\PC{0,20}", "[a(){}\\[\\]*+?|.\\\\^$0-9,-]{0,20}", "[\\x00-\\x7f]{0,12}",
    ]) {
        if let Ok(grammar) = Grammar::regex(&vocabulary().1, &pattern) {
            let mut constraint = grammar.constraint();
            let mut logits = vec![0.0; vocabulary().0.vocab_size()];
            constraint.forced(&[]);
            constraint.mask(&[], &mut logits);
        }
    }

    #[test]
    fn no_grammar_panics(source in prop_oneof![
        "\\PC{0,40}", "start: [a-zA-Z\"/()|*+?~&:%{}\\[\\]<>0-9 \n]{0,40}",
    ]) {
        let _ = Grammar::lark(&vocabulary().1, &source);
    }

    #[test]
    fn no_schema_panics(schema in schemas()) {
        let _ = Grammar::json_schema(&vocabulary().1, &schema.to_string());
    }

    #[test]
    fn no_bytes_as_a_schema_panic(schema in "[\\[\\]{}\":,a-z0-9\\\\ ]{0,40}") {
        let _ = Grammar::json_schema(&vocabulary().1, &schema);
    }
}

/// JSON with the words of schemas at random places.
fn schemas() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "type",
        "object",
        "array",
        "string",
        "number",
        "integer",
        "properties",
        "items",
        "enum",
        "const",
        "anyOf",
        "allOf",
        "oneOf",
        "not",
        "required",
        "pattern",
        "format",
        "minimum",
        "maximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "$ref",
        "#",
        "#/$defs/a",
        "$defs",
        "a",
        "additionalProperties",
        "prefixItems",
        "minItems",
        "maxItems",
        "x-guidance",
        "date",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-3..3).prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..4)
                .prop_map(|pairs| pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
        ]
    })
}
