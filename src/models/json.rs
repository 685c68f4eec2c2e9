//! Sizes from a published `config.json`, none of which is believed unseen.

use serde_json::Value;

/// The greatest size that is believed.
const GREATEST_SIZE: u64 = 1 << 14;

/// A published `config.json` of another model, or of sizes that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the configuration is not one of {model}: {what}; choose the folder of the published model"
)]
pub struct SizesError {
    /// The model, or its part.
    pub model: &'static str,
    /// What is wrong.
    pub what: String,
}

/// The names and values of one file.
#[derive(Debug)]
pub(super) struct Sizes {
    model: &'static str,
    json: Value,
}

impl Sizes {
    pub(super) fn read(text: &str, model: &'static str) -> Result<Self, SizesError> {
        let json = serde_json::from_str(text).map_err(|error| SizesError {
            model,
            what: error.to_string(),
        })?;
        Ok(Self { model, json })
    }

    pub(super) fn wrong(&self, what: String) -> SizesError {
        SizesError {
            model: self.model,
            what,
        }
    }

    pub(super) fn size(&self, name: &str) -> Result<usize, SizesError> {
        let size = self.json[name].as_u64();
        let size = size.filter(|size| (1..=GREATEST_SIZE).contains(size));
        size.map(|size| size as usize)
            .ok_or_else(|| self.wrong(format!("{name} is no size from 1 to {GREATEST_SIZE}")))
    }

    /// The names and values within one value.
    pub(super) fn within(&self, name: &str) -> Result<Self, SizesError> {
        let json = self.json.get(name).cloned();
        let json = json.ok_or_else(|| self.wrong(format!("{name} is missing")))?;
        Ok(Self {
            model: self.model,
            json,
        })
    }

    pub(super) fn number(&self, name: &str) -> Result<f32, SizesError> {
        let number = self.json[name].as_f64().map(|number| number as f32);
        let number = number.filter(|number| number.is_finite());
        number.ok_or_else(|| self.wrong(format!("{name} is no number")))
    }

    /// Insists on a value: of what is not there, the published default.
    pub(super) fn expect(&self, name: &str, expected: &Value) -> Result<(), SizesError> {
        match self.json.get(name) {
            Some(found) if found != expected => {
                Err(self.wrong(format!("{name} is {found} and should be {expected}")))
            }
            _ => Ok(()),
        }
    }

    /// A flag that is off where it is not there.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.json[name].as_bool().unwrap_or(false)
    }
}
