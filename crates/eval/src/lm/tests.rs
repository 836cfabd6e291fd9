use std::fs;
use std::path::PathBuf;

use super::questions::generation;
use super::*;
use serde_json::Map;

/// Likes continuations that hold the letter `x`, and writes a fixed text.
struct Toy;

impl Model for Toy {
    fn answer(&self, question: &Question) -> Result<Answer, Error> {
        Ok(match question {
            Question::LogLikelihood { continuation, .. } => {
                let sum = -(continuation.chars().count() as f64) / 2.0;
                let liked = continuation.contains('x');
                Answer::LogLikelihood { sum: sum + f64::from(liked), is_greedy: liked }
            }
            Question::Rolling { text } => {
                Answer::LogLikelihood { sum: -(text.len() as f64), is_greedy: false }
            }
            Question::Generate { context, .. } => {
                let text = if context.contains("two") { "so #### 2" } else { "no idea" };
                Answer::Text { text: text.to_owned() }
            }
        })
    }

    fn identity(&self) -> Value {
        json!("toy")
    }
}

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// A folder with a task and its documents, four of them if not given.
    fn new(task: &str, docs: &str) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        let head = "dataset_path: json\ndataset_kwargs:\n  data_files:\n    test: docs.jsonl\n\
            test_split: test\n";
        place.write("task.yaml", &format!("{head}{task}"));
        place.write("docs.jsonl", docs);
        place
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("task.yaml")
    }

    fn load(&self, overrides: &Overrides) -> Result<Task, Error> {
        Task::load(&self.path(), overrides)
    }

    fn run(&self, overrides: &Overrides) -> Evaluated {
        let task = self.load(overrides).unwrap();
        let how = Resampling { resamples: 99, ..Resampling::default() };
        let settings = |at_once: usize| Settings {
            fewshot_seed: 1234,
            how,
            at_once: NonZeroUsize::new(at_once).unwrap(),
        };
        let run = |at_once: usize| {
            let mut cache = Cache::open(None, &Toy.identity(), 0.0).unwrap();
            evaluate(&task, &Toy, &mut cache, &settings(at_once), &mut |_| Ok(())).unwrap()
        };
        let (one, several) = (run(1), run(3));
        assert_eq!(one.items, several.items);
        one
    }
}

fn value(found: &Evaluated, name: &str) -> f64 {
    found.scores.iter().find(|(known, _)| known == name).unwrap().1.value
}

const QUESTIONS: &str = "{\"q\": \"one\", \"a\": [\"ab\", \"xabcdef\"], \"right\": 1}\n\
    {\"q\": \"two\", \"a\": [\"xb\", \"abc\"], \"right\": 1}\n";
const CHOICE: &str = "output_type: multiple_choice\ndoc_to_text: \"Q: {{q}}\\nA:\"\n\
    doc_to_target: right\ndoc_to_choice: a\n";

#[test]
fn choices_are_scored_plain_and_by_their_length() {
    let found = Place::new(CHOICE, QUESTIONS).run(&Overrides::default());
    // One: -1.5 for ` ab`, -3 for ` xabcdef`; by length -0.75 and -0.43.
    assert!((value(&found, "acc") - 0.0).abs() < 1e-12);
    assert!((value(&found, "acc_norm") - 0.5).abs() < 1e-12);
    let requests = &found.items[0].detail["requests"];
    assert_eq!(requests[0]["context"], "Q: one\nA:");
    assert_eq!(requests[1]["continuation"], " xabcdef");
}

#[test]
fn examples_go_before_the_question_and_never_hold_it() {
    let place = Place::new(&format!("{CHOICE}fewshot_split: test\n"), QUESTIONS);
    let found = place.run(&Overrides { shots: Some(1), ..Overrides::default() });
    let context = |item: usize| found.items[item].detail["requests"][0]["context"].clone();
    assert_eq!(context(0), "Q: two\nA: abc\n\nQ: one\nA:");
    assert_eq!(context(1), "Q: one\nA: xabcdef\n\nQ: two\nA:");
    let too_many = place.load(&Overrides { shots: Some(2), ..Overrides::default() }).unwrap();
    assert!(Prompts::new(&too_many, 1).next(&too_many.docs[0]).is_err());
}

#[test]
fn answers_are_extracted_by_each_filter() {
    let task = "output_type: generate_until\ndoc_to_text: q\ndoc_to_target: \"{{right}}\"\n\
        generation_kwargs:\n  until: [\"\\n\"]\n\
        filter_list:\n  - name: strict\n    filter:\n      - function: regex\n        \
        regex_pattern: '#### (\\d+)'\n      - function: take_first\n  - name: whole\n    \
        filter:\n      - function: take_first\n";
    let docs = "{\"q\": \"one\", \"right\": 1}\n{\"q\": \"two\", \"right\": 2}\n";
    let found = Place::new(task, docs).run(&Overrides::default());
    assert!((value(&found, "exact_match,strict") - 0.5).abs() < 1e-12);
    assert!((value(&found, "exact_match,whole") - 0.0).abs() < 1e-12);
    assert_eq!(found.items[1].detail["answers"]["strict"], "2");
}

#[test]
fn perplexity_weighs_texts_by_their_words_and_bytes() {
    let task = "output_type: loglikelihood_rolling\ndoc_to_text: \"\"\ndoc_to_target: text\n";
    let docs = "{\"text\": \"a bc\"}\n{\"text\": \"d\"}\n";
    let found = Place::new(task, docs).run(&Overrides::default());
    assert!((value(&found, "bits_per_byte") - 1.0 / std::f64::consts::LN_2).abs() < 1e-12);
    assert!((value(&found, "word_perplexity") - f64::exp(5.0 / 3.0)).abs() < 1e-9);
}

#[test]
fn a_variant_changes_the_prompt_and_the_limit_the_number() {
    let place = Place::new(CHOICE, QUESTIONS);
    let fields = json!({"doc_to_text": "{{q}}?", "description": "Answer.\n"});
    let overrides = Overrides {
        limit: Some(1),
        fields: fields.as_object().unwrap().clone(),
        ..Overrides::default()
    };
    let found = place.run(&overrides);
    assert_eq!(found.items.len(), 1);
    assert_eq!(found.items[0].detail["requests"][0]["context"], "Answer.\none?");
}

#[test]
fn an_included_file_gives_what_the_task_does_not() {
    let place = Place::new("include: base.yaml\ndoc_to_text: q\n", QUESTIONS);
    place.write("base.yaml", CHOICE);
    let found = place.run(&Overrides::default());
    assert_eq!(found.items[0].detail["requests"][0]["context"], "one");
    place.write("base.yaml", "include: base.yaml\n");
    assert!(place.load(&Overrides::default()).is_err());
}

#[test]
fn what_would_change_scores_and_is_not_understood_is_refused() {
    for extra in [
        "nonsense: 1\n",
        "process_docs: !function utils.f\n",
        "process_docs: x\n",
        "output_type: other\n",
        "metric_list: [{metric: bleu}]\n",
        "dataset_path: cais/mmlu\n",
    ] {
        let place = Place::new("", QUESTIONS);
        let text = fs::read_to_string(place.path()).unwrap();
        let key = extra.split(':').next().unwrap();
        let without: Vec<&str> = text.lines().filter(|line| !line.starts_with(key)).collect();
        place.write("task.yaml", &format!("{}\n{extra}", without.join("\n")));
        assert!(place.load(&Overrides::default()).is_err(), "{extra}");
    }
    let place = Place::new(&CHOICE.replace("doc_to_choice: a", "doc_to_choice: q"), QUESTIONS);
    let task = place.load(&Overrides::default()).unwrap();
    let mut prompts = Prompts::new(&task, 1);
    assert!(prompts.next(&task.docs[0]).is_err());
    let known = generation(&Map::new(), "", 0);
    assert!(known.is_ok());
    let unknown = json!({"top_k": 5});
    assert!(generation(unknown.as_object().unwrap(), "", 0).is_err());
}
