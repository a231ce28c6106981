//! A model on its own threads: bursts, hanging predictions, deadlines, overload.

use std::sync::Barrier;

use super::*;
use crate::model::PredictError;
use crate::model::Schema;
use crate::model::schema::Feature;

/// A model that runs on its own threads, and waits there if the row has a number.
struct Slow {
    schema: Schema,
    gate: Arc<Barrier>,
}

impl Model for Slow {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn output(&self) -> &OutputKind {
        &OutputKind::Probability { threshold: 0.5 }
    }

    fn predict(&self, row: &Row<'_>) -> Result<Output, PredictError> {
        if row.values() != [Value::Missing] {
            self.gate.wait();
        }
        Ok(Output::of(0.5))
    }
}

fn slow() -> (Inference, Arc<Barrier>, [Row<'static>; 2]) {
    slow_on(Pool::THREADS)
}

/// A slow model on this many threads, its gate, and a row that it answers at once and one that waits.
fn slow_on(threads: usize) -> (Inference, Arc<Barrier>, [Row<'static>; 2]) {
    let kind = FeatureKind::Numeric { mean: 0.0, scale: 1.0 };
    let schema = Schema::new(vec![Feature { name: "x".to_owned(), kind }]).unwrap();
    let row = |value| schema.row(Features::Ordered(vec![value])).unwrap();
    let rows = [row(Value::Missing), row(Value::Number(1.0))];
    let gate = Arc::new(Barrier::new(threads + 1));
    let model: Arc<dyn Model> = Arc::new(Slow { schema, gate: gate.clone() });
    let pool = Some(Pool::new(&model, threads));
    (Inference { model, pool, explaining: Inference::explaining() }, gate, rows)
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, future)
}

#[test]
fn a_burst_waits_for_a_thread() {
    let (inference, gate, [quick, waits]) = slow();
    let inference = Arc::new(inference);
    run(async {
        let one = |inference: Arc<Inference>, row: Row<'static>| async move {
            inference.run(&[row], Duration::from_secs(60)).await
        };
        let spawn =
            |row: &Row<'static>| tokio::task::spawn_local(one(inference.clone(), row.clone()));
        let occupying: Vec<_> = (0..Pool::THREADS).map(|_| spawn(&waits)).collect();
        let burst: Vec<_> = (0..40).map(|_| spawn(&quick)).collect();
        while inference.threads().queued < burst.len() {
            tokio::task::yield_now().await;
        }
        let busy = ThreadLoad { threads: 4, in_flight: 4, queued: 40, hanging: 0 };
        assert_eq!(inference.threads(), busy);
        assert!(burst.iter().all(|answer| !answer.is_finished()));
        gate.wait();
        for answer in occupying.into_iter().chain(burst) {
            assert!(answer.await.unwrap().is_ok());
        }
        assert_eq!((inference.threads().queued, inference.threads().hanging), (0, 0));
    });
}

#[test]
fn a_model_with_fewer_threads_hangs_when_they_do() {
    let (inference, gate, [quick, waits]) = slow_on(1);
    run(async {
        let short = Duration::from_millis(20);
        let late = inference.run(std::slice::from_ref(&waits), short).await.unwrap_err();
        assert!(matches!(late, InferenceError::Failed { failure: Failure::Deadline, .. }));
        let hangs = ThreadLoad { threads: 1, in_flight: 1, queued: 0, hanging: 1 };
        assert_eq!(inference.threads(), hangs);
        let refused = inference.run(&[quick], short).await.unwrap_err();
        assert!(matches!(refused, InferenceError::Failed { failure: Failure::Busy, .. }));
        gate.wait();
    });
}

/// A model that predicts until it is stopped.
struct Stoppable {
    schema: Schema,
    ended: Arc<AtomicBool>,
}

impl Model for Stoppable {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn output(&self) -> &OutputKind {
        &OutputKind::Probability { threshold: 0.5 }
    }

    fn predict(&self, _row: &Row<'_>) -> Result<Output, PredictError> {
        Ok(Output::of(0.5))
    }

    fn predict_until(&self, rows: &[Row<'_>], stop: &Stop) -> Result<Vec<Output>, PredictError> {
        let (end, ends) = std::sync::mpsc::channel();
        let waited = stop.during(move || end.send(()).unwrap_or_default(), || ends.recv());
        self.ended.store(waited.is_some(), Ordering::Relaxed);
        self.predict_many(rows)
    }
}

#[test]
fn an_expired_deadline_stops_the_model_and_frees_its_thread() {
    let (unstoppable, _, [quick, _]) = slow_on(1);
    let (schema, ended) = (unstoppable.model().schema().clone(), Arc::<AtomicBool>::default());
    let model: Arc<dyn Model> = Arc::new(Stoppable { schema, ended: ended.clone() });
    let pool = Some(Pool::new(&model, 1));
    let inference = Inference { model, pool, explaining: Inference::explaining() };
    run(async {
        let late = inference.run(&[quick], Duration::from_millis(20)).await.unwrap_err();
        assert!(matches!(late, InferenceError::Failed { failure: Failure::Deadline, .. }));
        let pool = inference.pool.as_ref().unwrap();
        let freed = timeout(Duration::from_secs(60), pool.free.clone().acquire_owned()).await;
        assert!(freed.is_ok(), "the thread is free again");
    });
    assert!(ended.load(Ordering::Relaxed));
    let abandoned = &inference.pool.as_ref().unwrap().abandoned;
    assert_eq!(abandoned.load(Ordering::Relaxed), 0);
}

#[test]
fn an_answer_in_time_is_at_no_moment_an_abandoned_one() {
    let abandoned = AtomicIsize::new(0);
    let over = Arc::new(AtomicBool::new(true));
    let stop = Arc::<Stop>::default();
    drop(Waiting { over: over.clone(), stop: stop.clone(), abandoned: &abandoned });
    assert_eq!(abandoned.load(Ordering::Relaxed), 0);
    over.store(false, Ordering::Relaxed);
    drop(Waiting { over, stop, abandoned: &abandoned });
    assert_eq!(abandoned.load(Ordering::Relaxed), 1);
}

#[test]
fn occupied_threads_are_overload_and_hanging_ones_a_failure() {
    let (inference, gate, [quick, waits]) = slow();
    let inference = Arc::new(inference);
    run(async {
        let one = |inference: Arc<Inference>, row: Row<'static>, deadline| async move {
            inference.run(&[row], deadline).await
        };
        let occupy = |deadline| {
            let each =
                |_| tokio::task::spawn_local(one(inference.clone(), waits.clone(), deadline));
            (0..Pool::THREADS).map(each).collect::<Vec<_>>()
        };
        let short = Duration::from_millis(50);

        let occupying = occupy(Duration::from_secs(60));
        tokio::task::yield_now().await;
        let refused = one(inference.clone(), quick.clone(), short).await;
        assert_eq!(refused, Err(InferenceError::Overloaded));
        gate.wait();
        for answer in occupying {
            assert!(answer.await.unwrap().is_ok());
        }

        for answer in occupy(short) {
            let late = answer.await.unwrap().unwrap_err();
            assert!(matches!(late, InferenceError::Failed { failure: Failure::Deadline, .. }));
        }
        let refused = one(inference.clone(), quick.clone(), short).await.unwrap_err();
        assert!(matches!(refused, InferenceError::Failed { failure: Failure::Busy, .. }));
        gate.wait();
        // The threads need a moment to become free.
        let minute = Duration::from_secs(60);
        while let Err(error) = one(inference.clone(), quick.clone(), minute).await {
            assert!(matches!(error, InferenceError::Failed { failure: Failure::Busy, .. }));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
}
