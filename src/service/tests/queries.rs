//! Rollouts that are judged by what a Prometheus answers, without requests of their own.

use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Write as _;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Mutex;

use super::*;
use crate::canary::rollout::state::Outcome;
use crate::service::control::audit;
use crate::service::control::audit::Outcome as Recomputed;
use crate::service::reported::prometheus::observer::Observer;
use crate::service::reported::prometheus::server::GivenServer;
use crate::service::reported::prometheus::server::Server;
use crate::service::reported::prometheus::status::QueryStatus;

/// The series of a track at a moment in seconds since 1970.
type Answers = Box<dyn FnMut(&str, i64) -> Vec<f64> + Send>;

/// A Prometheus with scripted answers. Queries end with the name of the track.
struct Prometheus {
    url: String,
    answers: Arc<Mutex<Answers>>,
}

impl Prometheus {
    fn new(answers: impl FnMut(&str, i64) -> Vec<f64> + Send + 'static) -> Prometheus {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers: Arc<Mutex<Answers>> = Arc::new(Mutex::new(Box::new(answers)));
        let shared = answers.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = shared.clone();
                std::thread::spawn(move || drop(answer_all(&stream.unwrap(), &shared)));
            }
        });
        Prometheus { url, answers }
    }

    fn answer(&self, answers: impl FnMut(&str, i64) -> Vec<f64> + Send + 'static) {
        *self.answers.lock().unwrap() = Box::new(answers);
    }
}

/// Answers the requests of a connection until it ends.
fn answer_all(mut stream: &TcpStream, answers: &Mutex<Answers>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let (query, rest) = head.split_once("&time=").unwrap();
        let seconds = rest.split('.').next().unwrap().parse().unwrap();
        let track = if query.ends_with("canary") { "canary" } else { "stable" };
        let series = (answers.lock().unwrap())(track, seconds);
        let series: Vec<String> = series
            .iter()
            .map(|value| format!("{{\"metric\":{{}},\"value\":[{seconds},\"{value}\"]}}"))
            .collect();
        let body = format!(
            "{{\"status\":\"success\",\"data\":{{\"resultType\":\"vector\",\"result\":[{}]}}}}",
            series.join(",")
        );
        let length = body.len();
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}")?;
    }
}

const PLAN: &str = "warm_up = \"5s\"\ndeadline = \"2h\"\nsteps = [{ weight = 50, bake = \"3m\" }]";

const METRIC: &str = "served_elsewhere = true\n[[metrics]]\nname = \"cost\"\nsource = \"prometheus\"\n\
                      role = \"guardrail\"\nharm = \"higher\"\nquery = \"cost_$track\"\ninterval = \"15s\"";

fn started(bench: &Bench, prometheus: &Prometheus) -> (Service, Observer) {
    let given = GivenServer { url: prometheus.url.clone(), token_env: None };
    let server = Server::new(&given, |_| None).unwrap();
    let service = bench.start_asking(server);
    let observer = service.control.observer().unwrap();
    (service, observer)
}

fn deploy_by_plan(service: &Service, judge: &str) {
    let (judge, plan) = (toml::from_str(judge).unwrap(), toml::from_str(PLAN).unwrap());
    let model_path = "model_v2.bin".to_owned();
    service.deploy(Deployment { model_path, plan, judge, ..Deployment::default() }, None).unwrap();
}

/// Lets this many seconds pass, doing what the threads of a server would do.
fn pass(bench: &Bench, service: &Service, observer: &mut Observer, seconds: u32) {
    for second in 0..seconds {
        bench.clock.advance(Duration::from_secs(1));
        service.control.observe(observer);
        service.tick();
        if second % 5 == 0 {
            service.look().unwrap();
        }
    }
}

fn query(service: &Service) -> QueryStatus {
    service.status().queries.pop().unwrap()
}

/// Values around 100 that both tracks share in part, with the canary's multiplied by a factor.
fn values(canary: f64) -> impl FnMut(&str, i64) -> Vec<f64> + Send {
    move |track, seconds| {
        let own = if track == "canary" { 37 } else { 11 };
        let noise = (seconds * own % 23) as f64 / 23.0 + (seconds % 45) as f64 / 45.0;
        let factor = if track == "canary" { canary } else { 1.0 };
        vec![factor * (95.0 + 5.0 * noise)]
    }
}

/// Every verdict of the journal can be recomputed from the store.
fn assert_replayed(bench: &Bench, service: &Service) {
    service.save_checkpoint().unwrap();
    let store: &dyn Store = &*bench.store;
    let rollouts = audit::rollouts(store).unwrap();
    let recomputed: Vec<_> = rollouts
        .iter()
        .flat_map(|it| audit::recomputed(store, it, &audit::Limit::default()).unwrap())
        .collect();
    assert!(!recomputed.is_empty());
    for one in recomputed {
        assert_eq!(one.outcome, Recomputed::Equal, "{:?}", one.detail);
        assert!(one.ticks.is_some_and(|ticks| ticks >= 20), "{:?}", one.ticks);
    }
}

#[test]
fn an_equal_canary_is_promoted_and_a_worse_one_rolled_back_without_any_request() {
    for (canary, expected) in [(1.0, Outcome::Promoted), (1.25, Outcome::RolledBack)] {
        let (bench, prometheus) = (Bench::new(), Prometheus::new(values(canary)));
        let (service, mut observer) = started(&bench, &prometheus);
        deploy_by_plan(&service, METRIC);
        pass(&bench, &service, &mut observer, 60);
        let status = service.status();
        assert_eq!(query(&service).observations, 3, "5 s of warm-up, then one each 15 s");
        assert_eq!(status.totals.stable.requests + status.totals.canary.requests, 0);
        let metrics: Vec<_> =
            status.rollout.unwrap().metrics.into_iter().map(|it| it.name.to_string()).collect();
        assert_eq!(metrics, ["cost"]);
        pass(&bench, &service, &mut observer, 3000);
        let status = service.status();
        assert_eq!(status.last_rollout.unwrap().outcome, expected, "{canary}");
        assert_eq!(status.queries, [], "nothing is asked without a rollout");
        assert_replayed(&bench, &service);
    }
}

#[test]
fn without_values_nothing_is_decided_and_the_reason_is_shown_once() {
    let (bench, prometheus) = (Bench::new(), Prometheus::new(|_, _| Vec::new()));
    let (service, mut observer) = started(&bench, &prometheus);
    deploy_by_plan(&service, METRIC);
    pass(&bench, &service, &mut observer, 40);
    let one = query(&service);
    assert_eq!((one.observations, one.stable), (0, None));
    let said = one.message().unwrap();
    assert!(said.contains("stable: the query returns no series"), "{said}");
    let since = one.failing_since.unwrap();
    let missing = [
        (vec![1.0, 2.0], "canary: the query returns 2 series"),
        (vec![f64::NAN], "canary: the query returns NaN"),
        (vec![f64::INFINITY], "canary: the query returns inf"),
        (vec![1e200], "score: 1e200 is out of range"),
    ];
    for (canary, said) in missing {
        prometheus.answer(move |track, _| match track {
            "canary" => canary.clone(),
            _ => vec![100.0],
        });
        pass(&bench, &service, &mut observer, 15);
        let one = query(&service);
        assert!(one.message().unwrap().contains(said), "{said}: {one:?}");
        assert_eq!((one.observations, one.failing_since), (0, Some(since)));
    }
    let health = service.health().unwrap();
    assert_eq!(health.sequential.unwrap().ticks, 0, "no tick, no verdict");
    assert_eq!(health.queries.len(), 1);
    assert_eq!(health.not_checked, ["cost (none so far)"]);
    prometheus.answer(values(1.0));
    pass(&bench, &service, &mut observer, 15);
    assert_eq!((query(&service).observations, query(&service).problem), (1, None));
    // Then it is gone for good: at the deadline the rollout ends without a verdict.
    prometheus.answer(|_, _| Vec::new());
    pass(&bench, &service, &mut observer, 7300);
    assert_eq!(service.status().last_rollout.unwrap().outcome, Outcome::NoVerdict);
}

#[test]
fn an_outage_leaves_a_gap_and_a_restart_counts_no_moment_twice() {
    let (bench, prometheus) = (Bench::new(), Prometheus::new(values(1.0)));
    let (service, mut observer) = started(&bench, &prometheus);
    deploy_by_plan(&service, METRIC);
    pass(&bench, &service, &mut observer, 50);
    assert_eq!(query(&service).observations, 3);
    bench.clock.advance(Duration::from_secs(600));
    pass(&bench, &service, &mut observer, 1);
    assert_eq!(query(&service).observations, 4, "only the newest moment");
    service.save_checkpoint().unwrap();
    let samples = judged_now(&service).metrics[0].samples.canary;
    assert_eq!(samples, 4);
    let (service, mut observer) = started(&bench, &prometheus);
    pass(&bench, &service, &mut observer, 3);
    assert_eq!(judged_now(&service).metrics[0].samples.canary, samples);
    pass(&bench, &service, &mut observer, 15);
    assert_eq!(query(&service).observations, 1);
    assert_eq!(judged_now(&service).metrics[0].samples.canary, samples + 1);
}

#[test]
fn by_hand_the_query_decides_whether_a_promotion_is_accepted() {
    let (bench, prometheus) = (Bench::new(), Prometheus::new(values(1.0)));
    let (service, mut observer) = started(&bench, &prometheus);
    let judge = toml::from_str(METRIC).unwrap();
    service.deploy(Deployment { judge, ..deployment("model_v2.bin", 50.0) }, None).unwrap();
    let promote = || service.command(Command::Promote { force: false, reason: None }, None);
    assert!(promote().is_err());
    pass(&bench, &service, &mut observer, 1500);
    let health = service.health().unwrap();
    assert_eq!(health.verdict, Verdict::Promote, "{}", health.message);
    assert_eq!(health.message, "no harm found in cost; every guardrail passes: cost");
    promote().unwrap();
}

#[test]
fn a_query_is_judged_beside_the_requests_that_serin_answers() {
    let (bench, prometheus) = (Bench::new(), Prometheus::new(values(1.25)));
    let (service, mut observer) = started(&bench, &prometheus);
    let judge = METRIC.replace("served_elsewhere = true\n", "");
    deploy_by_plan(&service, &judge);
    pass(&bench, &service, &mut observer, 1500);
    let ended = service.status().last_rollout.unwrap();
    assert_eq!(ended.outcome, Outcome::RolledBack, "{}", ended.reason);
    assert!(ended.reason.contains("cost"), "{}", ended.reason);
}

#[test]
fn a_query_without_a_prometheus_and_one_that_is_wrong_are_refused() {
    let bench = Bench::new();
    let service = bench.start();
    let refused = |service: &Service, judge: &str| {
        let judge = toml::from_str(judge).unwrap();
        let deployment = Deployment { judge, ..deployment("model_v2.bin", 50.0) };
        service.deploy(deployment, None).unwrap_err().to_string()
    };
    let error = refused(&service, METRIC);
    assert!(
        error.contains("metrics.cost.query: no Prometheus is configured; set its url"),
        "{error}"
    );
    let prometheus = Prometheus::new(values(1.0));
    let (service, _) = started(&bench, &prometheus);
    for (judge, said) in [
        (METRIC.replace("$track", "x"), "metrics.cost.query: \"cost_x\" does not say which track"),
        (METRIC.replace("query = \"cost_$track\"", ""), "metrics.cost.query: missing; set what"),
        (
            METRIC.replace("source = \"prometheus\"", ""),
            "metrics.cost.query: only metrics with source",
        ),
        (
            METRIC.replace("cost_$track", "rate(cost_$track[1m])"),
            "metrics.cost.interval: \"15s\" is shorter than the range",
        ),
        (METRIC.replace("role = \"guardrail\"", ""), "metrics: none is a guardrail"),
    ] {
        let error = refused(&service, &judge);
        assert!(error.contains(said), "{said}: {error}");
    }
}
