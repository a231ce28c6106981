//! Which class of estimator is read by which file, and pipelines around them.

use super::boosting;
use super::columns::Program;
use super::fitted::Estimator;
use super::histogram;
use super::linear;
use super::node::Node;
use super::trees;
use crate::model::kinds::columns::Columns;
use crate::model::kinds::features::FeatureKind;
use crate::model::kinds::features::FeatureSpec;
use crate::model::kinds::lightgbm;
use crate::model::kinds::limits::MAX_FEATURES;
use crate::model::kinds::limits::MAX_NESTING;
use crate::model::kinds::parsed::Parsed;
use crate::model::kinds::parsed::Scorer;
use crate::model::kinds::refusal::Reading;
use crate::model::kinds::refusal::Refusal;
use crate::model::kinds::refusal::excerpt;
use crate::model::kinds::xgboost;

/// Reads an estimator, or a pipeline that ends with one.
pub(crate) fn read(root: &Node<'_, '_>) -> Reading<Parsed> {
    if root.class() != "Pipeline" || root.package() != "sklearn" {
        if let Some(parsed) = foreign(root)? {
            return Ok(parsed);
        }
        let (mut program, slots) = Program::new(names(root)?)?;
        return assemble(root, &mut program, slots).and_then(|(estimator, slots)| {
            let (features, columns) = program.finish(slots)?;
            finished(estimator, features, columns)
        });
    }
    let mut steps = root.attribute("steps")?.list()?;
    let mut last = last_step(root, &mut steps)?;
    for _ in 0..MAX_NESTING {
        if last.class() != "Pipeline" || last.package() != "sklearn" {
            break;
        }
        // A pipeline at the end goes on with its own steps.
        let mut inner = last.attribute("steps")?.list()?;
        last = last_step(&last, &mut inner)?;
        steps.append(&mut inner);
    }
    let (mut program, mut slots) = Program::new(names(root)?)?;
    for step in &steps {
        let [_, transformer] = step.tuple()?;
        slots = program.apply(&transformer, &slots, 0)?;
    }
    let (estimator, slots) = match foreign(&last)? {
        None => assemble(&last, &mut program, slots)?,
        // Behind a transformer all inputs are numbers, so its own names and categories play no part.
        Some(Parsed { scorer, answer, classes, objective, features, .. }) => {
            if let Some(feature) = features.iter().find(|f| f.kind != FeatureKind::Number) {
                let name = excerpt(&feature.name);
                let problem = format!("the category {name} behind a transformer is not supported");
                return Err(last.refusal(problem));
            }
            (Estimator { scorer, answer, classes, objective }, slots)
        }
    };
    let (features, columns) = program.finish(slots)?;
    finished(estimator, features, columns)
}

fn last_step<'n, 'a>(
    pipeline: &Node<'n, 'a>,
    steps: &mut Vec<Node<'n, 'a>>,
) -> Reading<Node<'n, 'a>> {
    let last = steps.pop().ok_or_else(|| pipeline.refusal("the pipeline has no steps"))?;
    let [_, last] = last.tuple()?;
    Ok(last)
}

fn finished(
    estimator: Estimator,
    features: Vec<FeatureSpec>,
    columns: Option<Columns>,
) -> Reading<Parsed> {
    let Estimator { scorer, answer, classes, objective } = estimator;
    let width = columns.as_ref().map_or(features.len(), |columns| columns.width());
    let expected = match &scorer {
        Scorer::Trees(ensemble) => ensemble.features(),
        Scorer::Linear(linear) => linear.features(),
        // No file of skops has one.
        Scorer::Onnx(_) => width,
    };
    if width != expected {
        let problem = format!("{width} columns reach a model of {expected} features");
        return Err(Refusal::new("columns", problem));
    }
    Ok(Parsed { features, columns, scorer, answer, classes, objective, threshold: None })
}

/// The estimator, and the slots it reads.
fn assemble(
    node: &Node<'_, '_>,
    program: &mut Program,
    slots: Vec<usize>,
) -> Reading<(Estimator, Vec<usize>)> {
    let class = node.class();
    if node.package() != "sklearn" {
        return Err(unsupported(node));
    }
    let width = slots.len();
    let estimator = match class {
        "DecisionTreeClassifier"
        | "ExtraTreeClassifier"
        | "DecisionTreeRegressor"
        | "ExtraTreeRegressor" => trees::tree(node, width)?,
        "RandomForestClassifier"
        | "ExtraTreesClassifier"
        | "RandomForestRegressor"
        | "ExtraTreesRegressor" => trees::forest(node, width)?,
        "GradientBoostingClassifier" | "GradientBoostingRegressor" => boosting::read(node, width)?,
        "HistGradientBoostingClassifier" | "HistGradientBoostingRegressor" => {
            return histogram::read(node, program, slots);
        }
        "LogisticRegression"
        | "LogisticRegressionCV"
        | "SGDClassifier"
        | "LinearRegression"
        | "Ridge"
        | "RidgeCV"
        | "Lasso"
        | "LassoCV"
        | "ElasticNet"
        | "ElasticNetCV"
        | "SGDRegressor"
        | "HuberRegressor" => linear::read(node)?,
        _ => return Err(unsupported(node)),
    };
    Ok((estimator, slots))
}

fn unsupported(node: &Node<'_, '_>) -> Refusal {
    let (class, package) = (excerpt(node.class()), excerpt(node.package()));
    node.refusal(format!("the class {class} of {package} is not supported"))
}

/// LightGBM and XGBoost keep their own format inside.
fn foreign(node: &Node<'_, '_>) -> Reading<Option<Parsed>> {
    let at = |refusal: Refusal| {
        Refusal::new(format!("{}: {}", node.place, refusal.place), refusal.problem)
    };
    let (mut parsed, classes) = match (node.package(), node.class()) {
        ("lightgbm", "LGBMClassifier" | "LGBMRegressor" | "LGBMRanker") => {
            let booster = node.attribute("_Booster")?;
            // The wrapper answers with the best iteration, if early stopping found one.
            let best = node.find("_best_iteration").or_else(|| booster.find("best_iteration"));
            let best = best.and_then(|best| best.count().ok()).filter(|best| *best > 0);
            let text = booster.attribute("_handle")?.text()?;
            (lightgbm::read_iterations(&text, best).map_err(at)?, "_classes")
        }
        ("lightgbm", "Booster") => {
            let text = node.attribute("_handle")?.text()?;
            (lightgbm::read(&text).map_err(at)?, "")
        }
        ("xgboost", "XGBClassifier" | "XGBRegressor" | "XGBRFClassifier" | "XGBRFRegressor") => {
            let handle = node.attribute("_Booster")?.attribute("handle")?;
            (xgboost::read_of_wrapper(handle.bytes()?).map_err(at)?, "classes_")
        }
        ("xgboost", "Booster") => {
            let handle = node.attribute("handle")?;
            (xgboost::read(handle.bytes()?).map_err(at)?, "")
        }
        _ => return Ok(None),
    };
    if let Some(names) = node.find(classes).and_then(|names| names.texts().ok()) {
        parsed.classes = names;
    }
    Ok(Some(parsed))
}

/// The names of the inputs; `x0`, `x1`, .. if it was fitted without names.
fn names(node: &Node<'_, '_>) -> Reading<Vec<String>> {
    if let Some(names) = node.find("feature_names_in_").filter(|names| !names.is_none()) {
        return names.texts();
    }
    if node.class() == "Pipeline" {
        for step in node.attribute("steps")?.list()? {
            let [_, step] = step.tuple()?;
            if !step.is_text("passthrough") {
                return names(&step);
            }
        }
    }
    let count = match node.find("n_features_in_") {
        Some(count) => count.count()?,
        None => match node.find("_preprocessor") {
            Some(preprocessor) => preprocessor.attribute("n_features_in_")?.count()?,
            None => return Err(unsupported(node)),
        },
    };
    if count > MAX_FEATURES {
        return Err(node.refusal(format!("{count} features, at most {MAX_FEATURES} are read")));
    }
    Ok((0..count).map(|index| format!("x{index}")).collect())
}
