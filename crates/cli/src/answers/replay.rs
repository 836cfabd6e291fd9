//! Stored answers, answered again from their snapshots.

use anyhow::{Context as _, Result, bail};
use plumb_answer::{Answer, StoredAnswer, StoredSettings};
use serde_json::json;

use super::load;
use crate::ask::go_on;
use crate::context::Context;
use crate::exit::Exit;
use crate::project::Project;
use crate::session::Session;

/// Replays the answers of these ids.
pub(super) fn named(project: &Project, ids: &[String], context: &Context) -> Result<Exit> {
    let mut replayer = Replayer::new(project, context);
    for id in ids {
        replayer.show(&load(project, id)?)?;
    }
    Ok(replayer.exit())
}

/// Replays all answers that there are, and says how many came out the same.
pub(super) fn all(project: &Project, context: &Context) -> Result<Exit> {
    let mut replayer = Replayer::new(project, context);
    for (id, bytes) in project.answers()?.iter() {
        let stored = serde_json::from_slice(&bytes?);
        replayer.show(&stored.with_context(|| format!("the answer `{id}` cannot be read"))?)?;
    }
    let Replayer { replayed, different, .. } = replayer;
    if replayed == 0 {
        bail!("no answer is stored: `plumb ask` stores each that it gives");
    }
    context.note(format!("{} of {replayed} answers are identical", replayed - different));
    Ok(replayer.exit())
}

/// Replays one answer after another.
struct Replayer<'a> {
    project: &'a Project,
    context: &'a Context,
    /// What the last answer needed, for the next one with the same needs.
    kept: Option<(String, StoredSettings, Session)>,
    replayed: usize,
    different: usize,
}

impl<'a> Replayer<'a> {
    fn new(project: &'a Project, context: &'a Context) -> Self {
        Self { project, context, kept: None, replayed: 0, different: 0 }
    }

    fn exit(&self) -> Exit {
        if self.different == 0 { Exit::Done } else { Exit::Failed }
    }

    /// Answers again, compares, and prints what came of it.
    fn show(&mut self, stored: &StoredAnswer) -> Result<()> {
        if self.context.stop.is_set() {
            bail!("interrupted after {} answers", self.replayed);
        }
        let id = &stored.answer.answer_id;
        let again = self.replay(stored).with_context(|| format!("cannot replay `{id}`"))?;
        let same = again.replayable_json() == stored.answer.replayable_json();
        self.replayed += 1;
        self.different += usize::from(!same);
        let how =
            if stored.deterministic { "the models ran again" } else { "with the recorded text" };
        if self.context.json {
            self.context.print_json(&json!({
                "answer_id": id,
                "identical": same,
                "models_ran": stored.deterministic,
                "answer": again,
            }))
        } else if same {
            self.context.say(format!("{id}: identical, byte for byte ({how})"))
        } else {
            self.context.say(format!("{id}: different"))?;
            self.context.say(format!("then: {}\nnow:  {}", stored.answer.answer, again.answer))
        }
    }

    fn replay(&mut self, stored: &StoredAnswer) -> Result<Answer> {
        let (project, context) = (self.project, self.context);
        let wanted = (&stored.answer.snapshot, &stored.settings);
        let is_kept = stored.deterministic
            && self
                .kept
                .as_ref()
                .is_some_and(|(snapshot, settings, _)| wanted == (snapshot, settings));
        if !is_kept {
            let snapshot = project.snapshot_named(&stored.answer.snapshot)?;
            let settings = stored.settings.clone();
            let session = if stored.deterministic {
                Session::open(project, context, snapshot, settings)?
            } else {
                let id = stored.answer.models.get("generator").cloned();
                let id = id.context("the stored answer names no generator")?;
                let recorded = (id, stored.written.clone());
                Session::with_recorded(project, context, snapshot, settings, recorded)?
            };
            self.kept = Some((stored.answer.snapshot.clone(), stored.settings.clone(), session));
        }
        let (_, _, session) = self.kept.as_mut().context("no session is open")?;
        session.ask(&stored.answer.question, &stored.history, &mut |_| go_on(context))
    }
}
