//! Profiles: other defaults, for platforms that start containers of models. Everything given overrides them.

use clap::ValueEnum;
use serde_json::Map;
use serde_json::Value;

/// The platform that starts the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// Amazon SageMaker: port 8080 or SAGEMAKER_BIND_TO_PORT, models in /opt/ml/model
    Sagemaker,
    /// Vertex AI: port, routes for predictions and for health from AIP_HTTP_PORT, AIP_PREDICT_ROUTE, AIP_HEALTH_ROUTE
    Vertex,
    /// KServe: port 8080, models in /mnt/models
    Kserve,
}

/// The stable model of a folder that the platform fills.
const STABLE: &str = "model.bin";

/// Nothing outlives such a container.
const STORE: &str = "memory:";

impl Profile {
    /// Its defaults, with the variables of the platform.
    pub(super) fn fields(self, variable: impl Fn(&str) -> Option<String>) -> Map<String, Value> {
        // A variable that is set to nothing is not set.
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let port = |name| variable(name).unwrap_or_else(|| "8080".to_owned());
        let listen = |port: String| ("listen", Some(format!("0.0.0.0:{port}")));
        let fixed = |key, value: &str| (key, Some(value.to_owned()));
        let fields = match self {
            Profile::Sagemaker => vec![
                listen(port("SAGEMAKER_BIND_TO_PORT")),
                fixed("models", "/opt/ml/model"),
                fixed("stable", STABLE),
                fixed("store", STORE),
            ],
            Profile::Vertex => vec![
                listen(port("AIP_HTTP_PORT")),
                ("predict_route", variable("AIP_PREDICT_ROUTE")),
                ("health_route", variable("AIP_HEALTH_ROUTE")),
                fixed("stable", STABLE),
                fixed("store", STORE),
            ],
            Profile::Kserve => vec![
                listen(port("PORT")),
                fixed("models", "/mnt/models"),
                fixed("stable", STABLE),
                fixed("store", STORE),
            ],
        };
        let given = fields.into_iter().filter_map(|(key, value)| Some((key, value?)));
        given.map(|(key, value)| (key.to_owned(), Value::String(value))).collect()
    }

    /// The flag that chooses it.
    pub(super) fn flag(self) -> String {
        let name = self.to_possible_value();
        format!("--profile {}", name.as_ref().map_or("", |value| value.get_name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::settings::flags::Flags;
    use crate::cli::settings::layers::Layers;

    #[test]
    fn a_profile_is_a_set_of_defaults_with_the_variables_of_its_platform() {
        let nothing = |_: &str| None;
        let sagemaker = Profile::Sagemaker.fields(nothing);
        assert_eq!(sagemaker["listen"], "0.0.0.0:8080");
        assert_eq!(sagemaker["models"], "/opt/ml/model");
        let vertex = Profile::Vertex.fields(|name| {
            let value = match name {
                "AIP_HTTP_PORT" => "9000",
                "AIP_PREDICT_ROUTE" => "/v1/endpoints/1/deployedModels/2:predict",
                _ => return None,
            };
            Some(value.to_owned())
        });
        assert_eq!(vertex["listen"], "0.0.0.0:9000");
        assert_eq!(vertex["predict_route"], "/v1/endpoints/1/deployedModels/2:predict");
        assert!(!vertex.contains_key("health_route"));
    }

    #[test]
    fn the_file_overrides_a_profile_and_both_are_origins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("serin.toml");
        std::fs::write(&path, "listen = \"127.0.0.1:1\"\n").unwrap();
        let layers = Layers::new(Flags::default(), Some(&path)).unwrap();
        let layers = layers.with_profile(Some(Profile::Kserve));
        let settings = layers.settings().unwrap();
        assert_eq!(settings.listen, "127.0.0.1:1");
        assert_eq!(settings.models.to_str(), Some("/mnt/models"));
        assert_eq!(layers.origin("models"), "--profile kserve");
        assert_eq!(layers.origin("listen"), path.display().to_string());
        assert_eq!(layers.origin("bake"), "default");
    }
}
