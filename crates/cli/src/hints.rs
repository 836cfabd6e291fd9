//! What to do about an error: the first piece of advice in its chain.

/// Advice for the user, if any error in the chain has some.
pub fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(advice)
}

fn advice(cause: &(dyn std::error::Error + 'static)) -> Option<String> {
    if let Some(error) = cause.downcast_ref::<plumb_store::Error>() {
        return error.hint().map(str::to_owned);
    }
    if let Some(error) = cause.downcast_ref::<plumb_index::Error>() {
        return error.hint().map(str::to_owned);
    }
    if let Some(error) = cause.downcast_ref::<plumb_retrieve::Error>() {
        return error.hint().map(str::to_owned);
    }
    if let Some(error) = cause.downcast_ref::<plumb_infer::Error>() {
        return error.hint().map(str::to_owned);
    }
    if let Some(error) = cause.downcast_ref::<plumb_serve::Error>() {
        return error.hint().map(str::to_owned);
    }
    if let Some(error) = cause.downcast_ref::<plumb_metrics::text::WordNetError>() {
        return error.hint().map(str::to_owned);
    }
    if let Some(error) = cause.downcast_ref::<plumb_metrics::Error>() {
        return error.hint().map(str::to_owned);
    }
    if let Some(error) = cause.downcast_ref::<plumb_formats::Error>() {
        return error.hint().map(str::to_owned);
    }
    if let Some(error) = cause.downcast_ref::<plumb_eval::Error>() {
        return error.hint();
    }
    if let Some(error) = cause.downcast_ref::<plumb_serve::data::Error>() {
        return error.hint().map(str::to_owned);
    }
    if let Some(error) = cause.downcast_ref::<crate::models::Error>() {
        return error.hint();
    }
    if let Some(error) = cause.downcast_ref::<crate::fetch::Error>() {
        return error.hint().map(str::to_owned);
    }
    let filter = cause.downcast_ref::<plumb_retrieve::FilterError>();
    filter.map(|error| format!("here:\n{}", error.pointed()))
}
