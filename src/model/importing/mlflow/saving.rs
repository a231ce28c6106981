//! Lines of Python that save the model of an MLflow folder in a way that is read. `scripts/parity/folders.py` runs them.

use std::path::Path;

/// How a model is saved again.
#[derive(Clone, Copy, Debug)]
pub(super) enum Saving {
    /// A model of scikit-learn, by skops.
    SklearnAsSkops,
    /// An estimator of LightGBM, whose booster is written as text.
    LightgbmAsText,
    /// A model of XGBoost in its binary JSON.
    XgboostAsUbj,
    /// A model of CatBoost, by CatBoost's own exporter.
    CatBoostAsOnnx,
    /// An ONNX model with its constants inside.
    OnnxInOneFile,
}

impl Saving {
    /// The lines for a folder; they write another one next to it, with the same signature.
    pub(super) fn lines(self, folder: &Path) -> String {
        let path = folder.display().to_string();
        let path = path.trim_end_matches('/');
        // A text in JSON is one in Python.
        let [from, to] = [path.to_owned(), format!("{path}-serin")]
            .map(|path| serde_json::Value::from(path).to_string());
        let (imports, flavor, written, model, options) = match self {
            Self::SklearnAsSkops => (
                "mlflow, skops.io",
                "sklearn",
                "sklearn",
                "model",
                "serialization_format=\"skops\",\n    \
                 skops_trusted_types=skops.io.get_untrusted_types(data=skops.io.dumps(model)),",
            ),
            Self::LightgbmAsText => {
                ("mlflow", "lightgbm", "lightgbm", "model", "serialization_format=\"skops\",")
            }
            Self::XgboostAsUbj => {
                ("mlflow", "xgboost", "xgboost", "model", "model_format=\"ubj\",")
            }
            Self::CatBoostAsOnnx => (
                "catboost.utils, mlflow",
                "catboost",
                "onnx",
                "catboost.utils.convert_to_onnx_object(model)",
                "save_as_external_data=False,",
            ),
            Self::OnnxInOneFile => {
                ("mlflow", "onnx", "onnx", "model", "save_as_external_data=False,")
            }
        };
        format!(
            "import {imports}\n\
             model = mlflow.{flavor}.load_model({from})\n\
             mlflow.{written}.save_model(\n    \
             {model},\n    \
             {to},\n    \
             signature=mlflow.models.get_model_info({from}).signature,\n    \
             {options}\n\
             )"
        )
    }
}
