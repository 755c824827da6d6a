// Tallybook in the browser: track, identify, set. No cookie, no eval, no inline style.
//
//   <script src="https://tallybook.acme.com/tallybook.js" data-key="tb_b_…" async></script>
//   tallybook('track', 'signup', {plan: 'pro'})
//
// An event waits in localStorage until the server has acknowledged it: over reloads, without a network, in several tabs.
// Each has an id, so that it is stored once however often it is sent.
(function () {
  'use strict';
  var script = document.currentScript || {dataset: {}, src: location.href};
  var data = script.dataset, key = data.key || '';
  var server = (data.server || new URL(script.src, location.href).origin).replace(/\/$/, '');
  var PREFIX = 'tallybook.' + key.slice(-8) + '.', MAX = 1000, MAX_AGE = 28 * 864e5, MAX_EVENTS = 50, MAX_BYTES = 50000;
  var who = {user: data.user || '', account: data.account || '', identity: data.identity || ''};
  var mayName = data.identities === 'open', context = {}, memory = {}, refused = {}, warned = {};
  var counts = {stored: 0, rejected: 0, dropped: 0}, failures = 0, notBefore = 0, sending = null, timer = null, order = 0;

  var UNSIGNED = 'without a signature for this user and account they are not named: tallybook.sign(user, account, until, secret)';

  function warn(text) {
    if (!warned[text] && window.console) { warned[text] = 1; console.warn('tallybook: ' + text); }
  }
  function id() {
    var bytes = crypto.getRandomValues(new Uint8Array(16));
    return Array.prototype.map.call(bytes, function (b) { return (b + 256).toString(16).slice(1); }).join('');
  }

  // -- what waits: an item of localStorage for each, so that tabs do not overwrite each other's; in memory where
  //    there is no room or no storage
  function store() { try { return window.localStorage; } catch (_) { return null; } }
  function names() {
    var found = Object.keys(memory), at = store(), i, name;
    for (i = 0; at && i < at.length; i++) {
      name = at.key(i);
      if (name && name.indexOf(PREFIX) === 0 && !(name in memory)) found.push(name);
    }
    return found.sort();
  }
  function read(name) {
    try { return JSON.parse(memory[name] || store().getItem(name)); } catch (_) { return null; }
  }
  function write(name, entry) {
    var text = JSON.stringify(entry);
    try { store().setItem(name, text); delete memory[name]; } catch (_) { memory[name] = text; }
  }
  function remove(name) {
    delete memory[name];
    try { store().removeItem(name); } catch (_) { /* there is no storage */ }
  }
  function add(entry) {
    if (names().length >= MAX) { counts.dropped++; return warn('the queue is full; events are dropped'); }
    // In order of time; the random part keeps two tabs from one name.
    write(PREFIX + (1e13 + Date.now()) + '.' + (1e6 + order++) + '.' + id().slice(0, 8), entry);
    later(200);
  }

  // -- sending
  function later(pause) {
    if (!timer) timer = setTimeout(function () { timer = null; flush(); }, Math.max(pause, notBefore - Date.now()));
  }
  // The signature that goes with what was said of somebody then: the page's own where it names the same.
  function identityOf(entry) {
    if (!entry.user && !entry.account) return '';
    return entry.user === who.user && entry.account === who.account ? who.identity : entry.identity || '';
  }
  // The next requests: events of one signature together, attributes one by one.
  function next(most) {
    var batch = null, size = 2, list = names(), i, entry, identity, text;
    for (i = 0; i < list.length; i++) {
      entry = read(list[i]);
      if (!entry || Date.now() - entry.at > MAX_AGE) {
        if (entry) { counts.dropped++; warn('an event was not sent for 28 days and is dropped'); }
        remove(list[i]);
        continue;
      }
      identity = identityOf(entry);
      if (refused[identity]) continue;
      text = JSON.stringify(entry.body);
      if (!batch) batch = {path: entry.path, identity: identity, names: [], bodies: []};
      if (entry.path !== batch.path || identity !== batch.identity) continue;
      // Bytes, not characters: what may be in flight at an unload is limited.
      size += new Blob([text]).size + 1;
      if (batch.names.length && size > MAX_BYTES) break;
      batch.names.push(list[i]);
      batch.bodies.push(text);
      if (entry.path !== '/v1/events' || batch.names.length >= most) break;
    }
    if (batch) batch.text = batch.path === '/v1/events' ? '[' + batch.bodies + ']' : batch.bodies[0];
    return batch;
  }
  function send(batch) {
    var headers = {Authorization: 'Bearer ' + key, 'Content-Type': 'application/json'};
    if (batch.identity) headers['X-Tallybook-Identity'] = batch.identity;
    return fetch(server + batch.path, {
      method: batch.path === '/v1/events' ? 'POST' : 'PUT', body: batch.text, headers: headers,
      keepalive: batch.text.length < MAX_BYTES, credentials: 'omit', mode: 'cors', cache: 'no-store'
    }).then(function (answer) {
      return answer.json().catch(function () { return {}; }).then(function (said) {
        return settle(batch, answer.status, said || {}, Number(answer.headers.get('Retry-After')));
      });
    }, function () { return wait(0); });
  }
  function wait(seconds) {
    failures++;
    var pause = seconds ? seconds * 1000 : Math.min(6e4, 500 * Math.pow(2, Math.min(failures, 10)));
    notBefore = Date.now() + pause * (seconds ? 1 + Math.random() / 5 : 0.5 + Math.random() / 2);
    later(0);
    return 0;
  }
  // How many may be in the next batch; 0 to pause.
  function settle(batch, status, said, retry) {
    var rejected = Array.isArray(said.rejected) ? said.rejected : null;
    if ((status === 200 || status === 422) && rejected) {
      var why = {};
      rejected.forEach(function (one) { why[batch.path === '/v1/events' ? one.index : 0] = one; });
      batch.names.forEach(function (name, index) {
        var one = why[index], entry = one && one.code === 'future' && read(name);
        if (entry && entry.body.time) { // This clock is ahead: the time of receipt counts.
          delete entry.body.time;
          return write(name, entry);
        }
        remove(name);
        if (!one) counts.stored++;
        else { counts.rejected++; warn(one.code + ': ' + one.reason); }
      });
      failures = 0;
      return MAX_EVENTS;
    }
    if (status === 403 && said.code === 'identity') {
      warn(said.message + '; what was said of this user waits for another signature');
      refused[batch.identity] = 1;
      return MAX_EVENTS;
    }
    if (status === 400 || status === 413 || status === 422 || (status === 403 && said.code === 'not_bound')) {
      if (batch.names.length > 1) return Math.floor(batch.names.length / 2);
      remove(batch.names[0]);
      counts.rejected++;
      warn((said.code || status) + ': ' + (said.message || 'refused'));
      return MAX_EVENTS;
    }
    if (status < 500 && status !== 408 && status !== 429) warn('the server answered ' + status + ': ' + (said.message || ''));
    return wait(retry || (status < 429 && status !== 408 ? 60 : 0));
  }
  function work(most) {
    var batch = Date.now() < notBefore || navigator.onLine === false || !key ? null : next(most);
    return batch ? send(batch).then(function (count) { return count ? work(count) : 0; }) : Promise.resolve(0);
  }
  // One tab sends at a time, where the browser has locks. Without them the same event may be sent twice, and is stored once.
  function flush() {
    if (!sending) {
      var run = function () { return work(MAX_EVENTS); };
      sending = navigator.locks && navigator.locks.request ? navigator.locks.request(PREFIX, run) : run();
      sending = sending.catch(function () {}).then(function () { sending = null; return report(); });
    }
    return sending;
  }
  // At an unload no answer is seen. What is sent stays here and is sent again by the next page: it is stored once.
  function leave() {
    var batch = Date.now() < notBefore || !key ? null : next(MAX_EVENTS);
    if (!batch || batch.path !== '/v1/events' || !navigator.sendBeacon) return;
    var head = JSON.stringify({key: key, identity: batch.identity}).slice(0, -1);
    navigator.sendBeacon(server + '/v1/beacon', head + ',"events":' + batch.text + '}');
  }
  function report() {
    return {waiting: names().length, stored: counts.stored, rejected: counts.rejected, dropped: counts.dropped};
  }

  // -- what pages call
  // Whom the signature names: the server takes nobody else's name.
  function named() {
    if (mayName) return {user: who.user, account: who.account};
    var said = {};
    try {
      said = JSON.parse(decodeURIComponent(escape(atob(who.identity.split('.')[1].replace(/-/g, '+').replace(/_/g, '/')))));
    } catch (_) { /* there is no signature */ }
    return {user: said.user === who.user ? who.user : '', account: said.account === who.account ? who.account : ''};
  }
  function put(path, body, names) {
    var entry = {path: path, body: body, at: Date.now()};
    if (names.user || names.account) { entry.user = who.user; entry.account = who.account; entry.identity = who.identity; }
    add(entry);
  }
  function attributes(kind, name, given) {
    if (!Object.keys(given).length) return;
    var names = named();
    if (!name || (kind === 'users' ? names.user : names.account) !== name) return warn(UNSIGNED);
    put('/v1/' + kind + '/' + encodeURIComponent(name), {attributes: given, time: new Date().toISOString(), id: id()}, names);
  }
  function apart(given) { // {id, …attributes} or an id
    var rest = {}, name;
    if (given === null || typeof given !== 'object') return {id: given === undefined || given === null ? '' : String(given), rest: rest};
    for (name in given) if (name !== 'id') rest[name] = given[name];
    return {id: given.id === undefined || given.id === null ? '' : String(given.id), rest: rest};
  }
  var calls = {
    track: function (name, properties) {
      var body = {event: String(name), id: id(), time: new Date().toISOString()}, names = named();
      if (names.user) body.user = names.user;
      if (names.account) body.account = names.account;
      if (names.user !== who.user || names.account !== who.account) warn(UNSIGNED);
      body.properties = Object.assign({}, context, properties);
      put('/v1/events', body, names);
    },
    identify: function (user, account, identity) {
      var one = apart(user), other = apart(account);
      who = {user: one.id, account: other.id, identity: typeof identity === 'string' ? identity : who.identity};
      attributes('users', who.user, one.rest);
      attributes('accounts', who.account, other.rest);
      later(200);
    },
    set: function (what, given) {
      if (what === 'user') return attributes('users', who.user, given || {});
      if (what === 'account') return attributes('accounts', who.account, given || {});
      Object.assign(context, what === 'globalContext' ? given : what);
    },
    reset: function () { who = {user: '', account: '', identity: ''}; context = {}; },
    flush: flush,
    report: report
  };
  function api(name) {
    if (!calls.hasOwnProperty(name)) return warn('there is no call ' + name);
    return calls[name].apply(null, Array.prototype.slice.call(arguments, 1));
  }
  Object.keys(calls).forEach(function (name) { api[name] = calls[name]; });

  // A page may call before this script is there, by a stub that keeps the calls in `q`.
  function take(name) {
    var stub = window[name];
    window[name] = api;
    (stub && stub.q || []).forEach(function (call) { api.apply(null, call); });
  }
  if (!key) warn('data-key is missing');
  take('tallybook');
  if (data.aptrinsic !== 'off') take('aptrinsic');

  addEventListener('online', function () { notBefore = failures = 0; flush(); });
  addEventListener('pagehide', leave);
  document.addEventListener('visibilitychange', function () { if (document.visibilityState === 'hidden') flush(); });
  if (names().length) later(0);
})();
