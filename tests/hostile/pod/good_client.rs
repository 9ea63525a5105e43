//! A client that calls at a steady rate, whatever the service does, as its users
//! would: most calls over a connection that it keeps, some over new ones.

use super::process::Pod;
use crate::{certificates, support::ask};
use claude_grpc::proto::v1::claude_service_client::ClaudeServiceClient;
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tonic::{
    Request,
    transport::{Channel, Endpoint},
};

/// The time between two calls.
const PERIOD: Duration = Duration::from_millis(10);

/// The time between two calls while nothing is measured.
const SLOW_PERIOD: Duration = Duration::from_millis(100);

/// One of this number of calls opens a connection.
const CONNECTS: usize = 5;

/// The deadline of each call.
const DEADLINE: Duration = Duration::from_secs(10);

/// A call that ended.
pub struct GoodCall {
    pub began: Instant,
    pub took: Duration,
    pub result: Result<(), String>,
}

/// The running client.
pub struct GoodClient {
    calls: Arc<Mutex<Vec<GoodCall>>>,
    control: Arc<Control>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Control {
    slow: AtomicBool,
    stopped: AtomicBool,
}

/// How it reaches the service.
#[derive(Clone)]
struct Route {
    address: SocketAddr,
    ca: Option<String>,
    key: String,
}

impl GoodClient {
    /// Starts to call, in a thread of its own.
    pub fn start(pod: &Pod) -> GoodClient {
        let route = Route {
            address: pod.address,
            ca: pod.ca.clone(),
            key: pod.keys[0].clone(),
        };
        let calls = Arc::<Mutex<Vec<GoodCall>>>::default();
        let control = Arc::<Control>::default();
        let (ended, controlled) = (Arc::clone(&calls), Arc::clone(&control));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(call_steadily(route, ended, &controlled));
        });
        GoodClient {
            calls,
            control,
            thread,
        }
    }

    /// Calls less often from now on.
    pub fn slow_down(&self) {
        self.control.slow.store(true, Ordering::Relaxed);
    }

    /// Ends it, after the calls that it has begun.
    pub fn stop(self) -> Vec<GoodCall> {
        self.control.stopped.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        std::mem::take(&mut self.calls.lock().unwrap())
    }
}

async fn call_steadily(route: Route, ended: Arc<Mutex<Vec<GoodCall>>>, control: &Control) {
    let kept = connect(&route).await.unwrap();
    // What the first call sets up is none of the attacker's doing.
    call(kept.clone(), &route.key).await.unwrap();
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let slow_ticks = (SLOW_PERIOD.as_millis() / PERIOD.as_millis()) as usize;
    let mut running = tokio::task::JoinSet::new();
    let mut made = 0;
    for number in 0.. {
        ticks.tick().await;
        if control.stopped.load(Ordering::Relaxed) {
            break;
        }
        if control.slow.load(Ordering::Relaxed) && number % slow_ticks > 0 {
            continue;
        }
        let channel = (made % CONNECTS > 0).then(|| kept.clone());
        made += 1;
        let (route, ended) = (route.clone(), Arc::clone(&ended));
        running.spawn(async move {
            let began = Instant::now();
            let made = async {
                let channel = match channel {
                    Some(channel) => channel,
                    None => connect(&route).await?,
                };
                call(channel, &route.key).await
            };
            let result = timeout(DEADLINE, made).await;
            let call = GoodCall {
                began,
                took: began.elapsed(),
                result: result.unwrap_or_else(|_| Err("no answer in time".to_owned())),
            };
            ended.lock().unwrap().push(call);
        });
        while running.try_join_next().is_some() {}
    }
    running.join_all().await;
}

async fn connect(route: &Route) -> Result<Channel, String> {
    let connected = match &route.ca {
        Some(ca) => certificates::connect(&route.address.to_string(), ca, None).await,
        None => {
            let endpoint = Endpoint::from_shared(format!("http://{}", route.address)).unwrap();
            endpoint.connect().await
        }
    };
    connected.map_err(|error| format!("{error:?}"))
}

async fn call(channel: Channel, key: &str) -> Result<(), String> {
    let mut request = Request::new(ask("Name three rivers."));
    let key = key.parse().unwrap();
    request.metadata_mut().insert("x-api-key", key);
    let answer = ClaudeServiceClient::new(channel).generate(request).await;
    answer.map(|_| ()).map_err(|status| format!("{status:?}"))
}
