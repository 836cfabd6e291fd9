//! The command line from outside: whole outputs, exit codes, and models from
//! a pip that is a script.

mod models;
mod outputs;
mod run;
