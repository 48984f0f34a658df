//! Whether everything that is configured can be built, without a store and without sending.
//!
//! `verdictd check` asks what the worker asks when the daemon starts: settings that the one takes
//! the other takes too.

use super::actions::build_action;
use crate::settings::Settings;

/// Every receiver and action that the daemon would refuse at its start, one sentence each.
pub fn unbuildable(settings: &Settings) -> Vec<String> {
    let receivers = settings.receivers.iter().flat_map(|(name, config)| {
        let built = config.build(name).err();
        let limited = config.limits(name).err();
        built.into_iter().chain(limited).map(|error| format!("receivers.{error}"))
    });
    let actions = settings.actions.iter().filter_map(|(name, config)| {
        build_action(name, config, None).err().map(|error| format!("actions.{error}"))
    });
    receivers.chain(actions).collect()
}
