//! The command line. Doc comments here are the help texts.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Answers questions from your documents, with citations that it has checked.
#[derive(Parser, Debug)]
#[command(name = "plumb", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,

    #[command(subcommand)]
    pub verb: Verb,
}

/// Flags that every verb takes.
#[derive(Args, Debug)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Folder of the project (default: this folder or one above it)
    #[arg(long, global = true, value_name = "FOLDER", env = "PLUMB_PROJECT")]
    pub project: Option<PathBuf>,

    /// Settings to use in place of the project's plumb.toml
    #[arg(long, global = true, value_name = "FILE", env = "PLUMB_CONFIG")]
    pub config: Option<PathBuf>,

    /// Folder that models are kept in (default: the user's cache folder)
    #[arg(long, global = true, value_name = "FOLDER", env = "PLUMB_CACHE")]
    pub cache: Option<PathBuf>,

    /// Threads to compute with (default: all cores)
    #[arg(long, global = true, value_name = "N", env = "PLUMB_THREADS")]
    pub threads: Option<usize>,

    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,

    /// Print results only
    #[arg(long, short, global = true)]
    pub quiet: bool,

    /// Key for the endpoint that the settings name
    #[arg(long, global = true, hide = true, env = "PLUMB_API_KEY", hide_env_values = true)]
    pub api_key: Option<String>,

    /// Hub that models are fetched from
    #[arg(
        long,
        global = true,
        hide = true,
        env = "HF_ENDPOINT",
        default_value = "https://huggingface.co"
    )]
    pub hub: String,
}

#[derive(Subcommand, Debug)]
pub enum Verb {
    /// See the whole way: pull the default models, index the handbook, ask it questions
    Demo(crate::demo::DemoArgs),
    /// Make a project in this folder
    Init,
    /// Index files, folders, web pages or standard input
    Add(crate::add::AddArgs),
    /// Bring the index up to date with the files it came from
    Sync(crate::sync::SyncArgs),
    /// List the documents
    #[command(visible_alias = "ls")]
    List(crate::list::ListArgs),
    /// Show a document: its facts and passages, or its text
    Show(crate::list::ShowArgs),
    /// Remove documents from the index
    Rm(crate::list::RmArgs),
    /// Find passages
    Search(crate::search::SearchArgs),
    /// Answer a question from the documents; exits with 3 if they do not support an answer
    Ask(crate::ask::AskArgs),
    /// Ask in a conversation
    Chat(crate::chat::ChatArgs),
    /// Show or re-run stored answers
    #[command(subcommand)]
    Answer(crate::answers::AnswerVerb),
    /// Find the weight of the vectors that ranks right pages highest
    TuneRetrieval(crate::tune::TuneArgs),
    /// Set the threshold that keeps the share of wrong answers below a bound
    Calibrate(crate::calibrate::CalibrateArgs),
    /// Check an answer again, without a model; exits with 4 if it does not verify
    Verify(crate::verify::VerifyArgs),
    /// Say what the project holds and what it answers with
    Status,
    /// List the states that the index has been in
    Snapshots,
    /// List, fetch, import and remove models
    #[command(subcommand)]
    Model(crate::models::ModelVerb),
    /// Let a model continue a prompt, without documents
    Generate(Box<crate::generate::GenerateArgs>),
    /// Turn texts, one a line of standard input, into vectors
    Embed(crate::embed::EmbedArgs),
    /// Sort passages, one a line of standard input, by how well they answer a query
    Rerank(crate::rerank::RerankArgs),
    /// Serve models and documents to other programs over HTTP
    Serve(crate::serve::ServeArgs),
    /// Make, list and revoke API keys of the server
    #[command(subcommand)]
    Key(crate::key::KeyVerb),
    /// Watch a running server in the terminal
    Top(crate::top::TopArgs),
    /// Let an agent search and ask the project, over the Model Context Protocol
    Mcp(crate::mcp::McpArgs),
    /// Measure speed
    #[command(subcommand)]
    Bench(crate::bench::BenchVerb),
    /// Measure quality
    #[command(subcommand)]
    Eval(crate::eval::EvalVerb),
    /// Say what this machine, the models and the project are like
    Doctor,
    /// Print a completion script for a shell
    Completions {
        /// Shell to complete for
        shell: clap_complete::Shell,
    },
}
