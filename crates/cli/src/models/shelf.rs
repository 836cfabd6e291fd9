//! The models of this machine and of the catalogue, for the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use plumb_serve::shelf::{Pulling, Shelf, Shelved};

use super::{Error, ModelFile, Models, Pull};
use crate::context::{Context, Stop};
use crate::progress::Show;

/// How often it is looked whether a model is still wanted.
const LOOK: Duration = Duration::from_millis(200);

/// Lists and fetches models as `plumb model` does.
pub fn shelf(context: &Context) -> Shelf {
    let (here, from) = (context.models.clone(), context.models.clone());
    let hub = context.hub.clone();
    let told = |error: Error| format!("{:#}", anyhow::Error::from(error));
    Shelf {
        list: Arc::new(move || list(&Models::open(&here).map_err(told)?).map_err(told)),
        pull: Arc::new(move |name: &str, watch: &Pulling<'_>| {
            let models = Models::open(&from).map_err(told)?;
            pull(&models, (name, &hub), watch).map_err(told)
        }),
    }
}

fn list(models: &Models) -> Result<Vec<Shelved>, Error> {
    let total = |files: &[ModelFile]| files.iter().map(|file| file.bytes).sum();
    let catalogue = models.catalogue.models.iter().map(|model| Shelved {
        name: model.name.clone(),
        kind: model.kind.name(),
        is_here: models.is_there(model),
        is_default: model.default,
        bytes: total(&model.files),
        licence: Some(model.licence.clone()),
        summary: Some(model.summary.clone()),
        can_pull: true,
    });
    let mut all: Vec<Shelved> = catalogue.collect();
    for name in models.imported_names() {
        let Some(imported) = models.imported(&name)? else { continue };
        all.push(Shelved {
            name,
            kind: imported.kind.name(),
            is_here: true,
            is_default: false,
            bytes: total(&imported.files),
            licence: None,
            summary: Some(format!("Imported from {}", imported.origin.display())),
            can_pull: false,
        });
    }
    Ok(all)
}

fn pull(models: &Models, (name, hub): (&str, &str), watch: &Pulling<'_>) -> Result<(), Error> {
    let model = models.catalogue.find(name).ok_or_else(|| models.unknown(name))?;
    let (stop, is_done) = (Stop::default(), AtomicBool::new(false));
    let how =
        Pull { endpoint: hub, show: Show::Nothing, stop: &stop, on_bytes: Some(watch.on_bytes) };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Acquire) {
                if (watch.is_stopped)() {
                    stop.set();
                    return;
                }
                std::thread::sleep(LOOK);
            }
        });
        let pulled = models.pull(model, &how);
        is_done.store(true, Ordering::Release);
        pulled.map(drop)
    })
}
