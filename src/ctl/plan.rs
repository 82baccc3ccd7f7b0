//! What a restart would do.

use std::collections::HashMap;

use zbus::OwnedVariant;

use super::daemon::Daemon;
use super::failure::Failure;
use super::none;
use super::properties::json_owned;
use super::table::{Page, Style};
use crate::restart::interlock::Plan;

/// Name, what is in the way, what to do about it, and whether force overrides it.
type Refusal = (String, String, String, bool);

/// Shows it, and fails if something is in its way.
pub(super) async fn show(
    daemon: &Daemon,
    service: &str,
    page: &mut Page<'_>,
) -> Result<(), Failure> {
    let (figures, refusals): (HashMap<String, OwnedVariant>, Vec<Refusal>) =
        daemon.ask("Plan", &(service, none())).await?;
    let mut shown: serde_json::Map<String, serde_json::Value> = figures
        .iter()
        .map(|(name, value)| (name.clone(), json_owned(value)))
        .collect();
    // Lists are JSON on the bus.
    if let Some(units) = shown.get_mut("units") {
        let list = units
            .as_str()
            .and_then(|text| serde_json::from_str(text).ok());
        *units = list.unwrap_or_else(|| serde_json::json!([]));
    }
    if page.json {
        let refusals = refusals.iter().map(|(name, sentence, remedy, forced)| {
            serde_json::json!({
                "name": name, "sentence": sentence, "remedy": remedy, "may_be_forced": forced,
            })
        });
        shown.insert("refusals".to_owned(), refusals.collect());
        page.json(&shown)?;
    } else {
        shown.insert("refusals".to_owned(), serde_json::json!([]));
        let plan: Plan = serde_json::from_value(shown.into())
            .map_err(|error| Failure::Unknown(error.to_string()))?;
        let text = plan.to_string();
        let lines = text.lines().filter(|_| refusals.is_empty());
        let without = text.lines().take(text.lines().count() - 1);
        if refusals.is_empty() {
            for line in lines {
                page.line(Style::Plain, line)?;
            }
        } else {
            for line in without {
                page.line(Style::Plain, line)?;
            }
        }
        for (name, sentence, remedy, forced) in &refusals {
            let over = if *forced { "; --force overrides" } else { "" };
            let text = format!("  {name}: {sentence} ({remedy}{over})");
            page.line(Style::Bad, &text)?;
        }
    }
    if refusals.is_empty() {
        Ok(())
    } else {
        let names: Vec<&str> = refusals.iter().map(|(name, ..)| name.as_str()).collect();
        Err(Failure::Refused(format!(
            "a restart would be refused: {}",
            names.join(", ")
        )))
    }
}
