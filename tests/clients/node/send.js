// @segment/analytics-node, posthog-node, @rudderstack/rudder-sdk-node, mixpanel and @amplitude/analytics-node.
//
//     node send.js '{"key": "…", "at": "…", "cases": {"normal": "http://…"}, "modules": "…/node_modules"}'
//
// Prints as JSON what became of each (client, case): "sent", or the error.

const given = JSON.parse(process.argv[2]);
const load = (name) => require(require.resolve(name, { paths: [given.modules] }));
const at = new Date(given.at);
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const traits = { email: "a@b.c", age: 30 };
const groupTraits = { plan: "pro", seats: 12 };

function about(client, name) {
  const own = `${client}-${name}`;
  const properties = { plan: "pro", seats: 5, ratio: 1.5, trial: true, case: name };
  return { own, client, name, user: `u-${own}`, account: `acme-${own}`, anonymous: `cookie-${own}`, old: `old-${own}`, properties };
}

async function segment(c, host) {
  const { Analytics } = load("@segment/analytics-node");
  const analytics = new Analytics({ writeKey: given.key, host, maxEventsInBatch: 20, flushInterval: 50, httpRequestTimeout: 1000, maxRetries: 4 });
  const errors = [];
  analytics.on("error", (error) => errors.push(JSON.stringify(error)));
  analytics.identify({ userId: c.user, anonymousId: c.anonymous, traits, timestamp: at });
  analytics.group({ userId: c.user, groupId: c.account, traits: groupTraits, timestamp: at });
  analytics.page({ userId: c.user, name: "Pricing", timestamp: at });
  analytics.screen({ userId: c.user, name: "Home", timestamp: at });
  analytics.alias({ userId: c.user, previousId: c.old, timestamp: at });
  analytics.track({ userId: c.user, event: c.client, properties: c.properties, timestamp: at, context: { groupId: c.account }, messageId: `m-${c.own}` });
  await analytics.closeAndFlush({ timeout: 15000 });
  return errors[0];
}

async function rudder(c, host) {
  const Analytics = load("@rudderstack/rudder-sdk-node");
  const analytics = new (Analytics.default || Analytics)(given.key, { dataPlaneUrl: host, flushInterval: 10000, timeout: 1000, axiosRetryConfig: { shouldResetTimeout: true } });
  analytics.identify({ userId: c.user, anonymousId: c.anonymous, traits, timestamp: at });
  analytics.group({ userId: c.user, groupId: c.account, traits: groupTraits, timestamp: at });
  analytics.page({ userId: c.user, name: "Pricing", timestamp: at });
  analytics.alias({ userId: c.user, previousId: c.old, timestamp: at });
  analytics.track({ userId: c.user, event: c.client, properties: c.properties, timestamp: at, context: { groupId: c.account }, messageId: `m-${c.own}` });
  let error;
  for (let n = 0; n < 3; n++) {
    // The first message goes out by itself; after a time-out its caller has to go on.
    try { await analytics.flush(); } catch (caught) { error = caught; }
  }
}

async function posthog(c, host) {
  const { PostHog } = load("posthog-node");
  const client = new PostHog(given.key, { host, flushInterval: 50, requestTimeout: 1000, fetchRetryDelay: 100, disableCompression: c.name === "500" });
  const errors = [];
  client.on("error", (error) => errors.push(String(error)));
  client.identify({ distinctId: c.user, properties: traits });
  client.groupIdentify({ groupType: "company", groupKey: c.account, properties: groupTraits });
  client.alias({ distinctId: c.user, alias: c.old });
  client.capture({ distinctId: c.user, event: c.client, properties: c.properties, groups: { company: c.account }, timestamp: at });
  await client.shutdown(15000);
  return errors[0];
}

// It makes no ids and never sends again: its caller does, with one of its own.
async function mixpanel(c, host) {
  const Mixpanel = load("mixpanel");
  const url = new URL(host);
  const client = Mixpanel.init(given.key, { host: url.host, protocol: "http", key: given.key });
  const call = (make) => new Promise((done, fail) => { const timer = setTimeout(() => fail(new Error("too late")), 1000); make((error) => { clearTimeout(timer); error ? fail(error) : done(); }); });
  const again = async (make) => { for (let n = 0; ; n++) { try { return await call(make); } catch (error) { if (n === 2) throw error; } } };
  await again((done) => client.track(c.client, { distinct_id: c.user, time: at, $insert_id: `m-${c.own}`, company: c.account, ...c.properties }, done));
  await again((done) => client.import("imported", at, { distinct_id: c.user, case: c.name, $insert_id: `i-${c.own}` }, done));
  await again((done) => client.import_batch([{ event: "imported", properties: { time: at, distinct_id: c.user, case: c.name, $insert_id: `b-${c.own}` } }], done));
  await again((done) => client.people.set(c.user, traits, { $time: at.getTime() }, done));
  await again((done) => client.groups.set("company", c.account, groupTraits, { $time: at.getTime() }, done));
}

async function amplitude(c, host) {
  const amplitude = load("@amplitude/analytics-node");
  const client = amplitude.createInstance ? amplitude.createInstance() : amplitude;
  await client.init(given.key, { serverUrl: `${host}/2/httpapi`, flushIntervalMillis: 50, flushMaxRetries: 4, logLevel: 0 }).promise;
  const said = new amplitude.Identify();
  Object.entries(traits).forEach(([name, value]) => said.set(name, value));
  const group = new amplitude.Identify();
  Object.entries(groupTraits).forEach(([name, value]) => group.set(name, value));
  const options = { user_id: c.user, time: at.getTime() };
  const results = [
    client.identify(said, { ...options, insert_id: `i-${c.own}` }),
    client.groupIdentify("company", c.account, group, { ...options, insert_id: `g-${c.own}` }),
    client.track({ event_type: c.client, event_properties: c.properties, groups: { company: c.account }, ...options, insert_id: `m-${c.own}` }),
  ];
  // An explicit flush() sends once; the one of its timer sends again.
  const answers = await Promise.race([Promise.all(results.map((one) => one.promise)), wait(10000).then(() => [{ code: 0, message: "no answer" }])]);
  const wrong = answers.find((one) => one.code !== 200);
  return wrong && `${wrong.code} ${wrong.message}`;
}

const clients = { "segment-js": segment, "rudder-js": rudder, "posthog-js": posthog, "mixpanel-js": mixpanel, "amplitude-js": amplitude };

async function main() {
  const outcomes = {};
  const all = [];
  for (const [client, send] of Object.entries(clients)) {
    outcomes[client] = {};
    for (const [name, hosts] of Object.entries(given.cases)) {
      const late = wait(20000).then(() => "did not end");
      all.push(
        Promise.race([send(about(client, name), hosts[client]), late]).then(
          (said) => { outcomes[client][name] = said || "sent"; },
          (error) => { outcomes[client][name] = String(error).slice(0, 300); },
        ),
      );
    }
  }
  await Promise.all(all);
  console.log(JSON.stringify(outcomes));
  process.exit(0);
}

process.on("unhandledRejection", () => {});
main();
