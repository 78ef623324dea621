//! The configuration that the arguments name, or all that is wrong with it.

use anyhow::Result;
use router::config::load::{self, Loaded};
use router::config::overrides::Overrides;
use router::config::problem::Failure;

use crate::arguments::Configuration;
use crate::problems;

impl Configuration {
    /// Reads the configuration with its scripts and tables.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub(crate) fn load(&self) -> Result<Loaded, Failure> {
        load::load(&self.config, &self.overrides())
    }

    /// Reads the configuration; nothing when it is broken, which standard error then tells.
    pub(crate) fn load_or_explain(&self) -> Result<Option<Loaded>> {
        match self.load() {
            Ok(loaded) => Ok(Some(loaded)),
            Err(failure) => {
                problems::explain(&failure.problems, &failure.texts)?;
                Ok(None)
            }
        }
    }

    pub(crate) fn overrides(&self) -> Overrides {
        Overrides { set: self.set.clone(), data: self.data.clone() }
    }
}
