//! How things are shown.
//!
//! | module | job |
//! | --- | --- |
//! | [`clean`] | texts of others, made harmless for a terminal |
//! | [`table`] | rows and columns, fitted to the terminal |
//! | [`describe`] | one thing, with all that is known of it |
//! | [`yaml`] | values as YAML |
//! | [`time`] | times and sizes in words |

pub(crate) mod clean;
pub(crate) mod describe;
pub(crate) mod table;
pub(crate) mod time;
pub(crate) mod yaml;

use clap::ValueEnum;
use serde_json::Value;

use crate::fault::Fault;
use crate::resource::Resource;
use crate::stage::Stage;

/// The form of an output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// A table, cut to the terminal
    #[default]
    Table,
    /// A table with more columns, not cut
    Wide,
    /// JSON, as the API answered
    Json,
    /// The same as YAML
    Yaml,
    /// Names only, as RESOURCE/NAME
    Name,
}

/// How much is shown, and in which form.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Look {
    /// The form.
    pub(crate) form: Form,
    /// Whether a table has no head.
    pub(crate) headless: bool,
}

/// A value as JSON, harmless for a terminal, with a line feed at its end.
pub(crate) fn json(value: &Value) -> String {
    // A Value is always JSON.
    clean::clean_json(&serde_json::to_string_pretty(value).unwrap_or_default()) + "\n"
}

/// Shows things of a kind; `value` is all of them as they were answered.
///
/// # Errors
/// The output cannot be written.
pub(crate) fn things(
    resource: &Resource,
    things: &[Value],
    value: &Value,
    look: Look,
    stage: &mut Stage<'_>,
) -> Result<(), Fault> {
    let text = match look.form {
        Form::Json => json(value),
        Form::Yaml => yaml::render(value),
        Form::Name => things.iter().map(|one| name_line(resource, one)).collect(),
        Form::Table | Form::Wide => {
            if things.is_empty() {
                let text = if resource.unset {
                    "nothing is set".to_owned()
                } else {
                    format!("there are no {}", resource.name)
                };
                writeln!(stage.err, "{text}")?;
                return Ok(());
            }
            let width = if look.form == Form::Wide { None } else { stage.columns };
            let rows = table::Table::new(resource, things, look.form == Form::Wide, (stage.now)());
            rows.render(!look.headless, width)
        }
    };
    Ok(stage.out.write_all(text.as_bytes())?)
}

fn name_line(resource: &Resource, one: &Value) -> String {
    let name = resource.name_of(one);
    if name.is_empty() {
        format!("{}\n", resource.name)
    } else {
        format!("{}/{}\n", resource.name, clean::clean(&name))
    }
}
