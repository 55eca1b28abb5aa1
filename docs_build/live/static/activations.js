// Activations: the function, its derivative, and what both do to a layer of neurons. The functions are
// nnxLive.activations, recorded from nnx.
"use strict";
(() => {
  const live = globalThis.nnxLive;
  const NEURONS = 20000, BINS = 80, SATURATED = 0.05;
  const INKS = {
    light: { f: "#1a4fd6", d: "#c62828", z: "#5b6472", text: "#30333d", grid: "#0000001a", axis: "#00000066", paper: "#fff" },
    dark: { f: "#82b1ff", d: "#ff8a80", z: "#b3bccb", text: "#e3e6f0", grid: "#ffffff1f", axis: "#ffffff77", paper: "#1b1e27" },
  };

  /** The same draws from the standard normal distribution every time (mulberry32, Box and Muller). */
  function draws(count) {
    let state = 20240229;
    const uniform = () => {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 4294967296;
    };
    const found = new Float64Array(count);
    for (let i = 0; i < count; i += 2) {
      const r = Math.sqrt(-2 * Math.log(uniform())), angle = 2 * Math.PI * uniform();
      found[i] = r * Math.cos(angle);
      found[i + 1] = r * Math.sin(angle);
    }
    return found;
  }

  const short = (x) => live.short(x, 3);

  const page = () => `
    <div class="live-bar">
      <label>Activation<select data-part="name">${Object.keys(live.activations).map((key) => `<option>${key}</option>`).join("")}</select></label>
      <label class="live-grow"><span>Standard deviation of z: <output data-part="sigma"></output></span>
        <input type="range" min="-1" max="1" step="0.02" value="0" data-part="scale" aria-label="Standard deviation of the pre-activations, in powers of ten"></label>
      <label class="live-grow"><span>Mean of z: <output data-part="middle"></output></span>
        <input type="range" min="-3" max="3" step="0.1" value="0" data-part="mean" aria-label="Mean of the pre-activations"></label>
    </div>
    <p class="live-note" data-part="use"></p>
    <div class="live-panels">
      <figure><canvas class="live-wide" role="img" aria-label="The activation and its derivative"></canvas>
        <figcaption><span class="live-key" data-ink="f"></span>a = f(z) &nbsp; <span class="live-key" data-ink="d" style="border-top-style:dashed"></span>f′(z) &nbsp; <span class="live-key" data-ink="z"></span>how often each z occurs</figcaption></figure>
      <figure><canvas class="live-low" role="img" aria-label="Histogram of the layer's outputs"></canvas><figcaption>The layer’s outputs a</figcaption></figure>
      <figure><canvas class="live-low" role="img" aria-label="Histogram of the derivative"></canvas><figcaption>The derivative f′(z) of its neurons</figcaption></figure>
    </div>
    <dl class="live-facts">
      <div><dt>mean of a</dt><dd data-part="meanOfA"></dd></div>
      <div><dt>deviation of a</dt><dd data-part="spreadOfA"></dd></div>
      <div><dt>RMS of f′</dt><dd data-part="rms"></dd></div>
      <div><dt>after ten layers</dt><dd data-part="ten"></dd></div>
      <div><dt>|f′| below ${SATURATED}</dt><dd data-part="saturated"></dd></div>
    </dl>`;

  class Activations {
    constructor(root) {
      root.classList.add("live");
      root.innerHTML = page();
      this.root = root;
      this.parts = Object.fromEntries([...root.querySelectorAll("[data-part]")].map((e) => [e.dataset.part, e]));
      this.canvases = [...root.querySelectorAll("canvas")];
      this.normal = draws(NEURONS);
      const { name, scale, mean } = this.parts;
      for (const part of [name, scale, mean]) part.oninput = () => this.ask();
      live.watch(root.querySelector(".live-panels"), () => this.ask());
      this.draw();
    }

    /** Draws in the next frame, however many events come before it. */
    ask() {
      this.asked ??= requestAnimationFrame(() => { this.asked = null; this.draw(); });
    }

    draw() {
      const { parts } = this, f = live.activations[parts.name.value];
      this.ink = INKS[live.scheme()];
      this.sigma = 10 ** parts.scale.valueAsNumber;
      this.mu = parts.mean.valueAsNumber;
      parts.sigma.textContent = short(this.sigma);
      parts.middle.textContent = short(this.mu);
      parts.scale.setAttribute("aria-valuetext", parts.sigma.textContent);
      parts.use.textContent = `Range ${f.range}. ${f.use}`;
      for (const key of this.root.querySelectorAll("[data-ink]")) key.style.borderColor = this.ink[key.dataset.ink];
      const z = this.normal.map((e) => this.mu + this.sigma * e), a = z.map((e) => f.value(e)), d = z.map((e) => f.slope(e));
      this.curves(f);
      this.histogram(this.canvases[1], a, this.ink.f);
      this.histogram(this.canvases[2], d, this.ink.d);
      this.facts(a, d);
    }

    facts(a, d) {
      const mean = (x) => x.reduce((s, e) => s + e, 0) / x.length, { parts } = this, middle = mean(a);
      const rms = Math.sqrt(mean(d.map((e) => e * e))), share = d.filter((e) => Math.abs(e) < SATURATED).length / d.length;
      parts.meanOfA.textContent = short(middle);
      parts.spreadOfA.textContent = short(Math.sqrt(mean(a.map((e) => (e - middle) ** 2))));
      parts.rms.textContent = short(rms);
      parts.ten.textContent = short(rms ** 10);
      parts.saturated.textContent = `${(100 * share).toFixed(1)} %`;
    }

    /** Axes with a grid; returns the context and the two scales. */
    frame(canvas, [x0, x1], [y0, y1], labels = true) {
      const [c, width, height] = live.sharp(canvas), left = labels ? 34 : 10, bottom = 20, top = 8, right = 10;
      const X = (x) => left + ((x - x0) / (x1 - x0)) * (width - left - right);
      const Y = (y) => height - bottom - ((y - y0) / (y1 - y0)) * (height - bottom - top);
      c.fillStyle = this.ink.paper;
      c.fillRect(0, 0, width, height);
      c.font = "11px system-ui, sans-serif";
      c.lineWidth = 1;
      c.fillStyle = this.ink.text;
      const line = (x, y, u, v, style) => { c.strokeStyle = style; c.beginPath(); c.moveTo(x, y); c.lineTo(u, v); c.stroke(); };
      c.textAlign = "center"; c.textBaseline = "top";
      for (const v of live.ticks(x0, x1, Math.max(3, width / 64))) {
        line(X(v), top, X(v), height - bottom, v ? this.ink.grid : this.ink.axis);
        c.fillText(short(v), X(v), height - bottom + 5);
      }
      c.textAlign = "right"; c.textBaseline = "middle";
      if (labels) for (const v of live.ticks(y0, y1, Math.max(3, height / 55))) {
        line(left, Y(v), width - right, Y(v), v ? this.ink.grid : this.ink.axis);
        c.fillText(short(v), left - 5, Y(v));
      }
      return [c, X, Y, height - bottom];
    }

    curves(f) {
      const reach = 5, points = Array.from({ length: 601 }, (_, i) => -reach + (2 * reach * i) / 600);
      const values = points.map((x) => f.value(x)), slopes = points.map((x) => f.slope(x));
      const shown = [...values, ...slopes].filter((y) => Math.abs(y) <= 6);
      const low = Math.min(-0.25, ...shown), high = Math.max(1.1, ...shown), room = 0.04 * (high - low);
      const [c, X, Y, floor] = this.frame(this.canvases[0], [-reach, reach], [low - room, high + room]);
      // the density of z, a quarter of the height
      const peak = 0.25 * (floor - Y(high + room)), density = (x) => Math.exp(-(((x - this.mu) / this.sigma) ** 2) / 2);
      c.beginPath();
      c.moveTo(X(-reach), floor);
      for (const x of points) c.lineTo(X(x), floor - peak * density(x));
      c.lineTo(X(reach), floor);
      c.fillStyle = this.ink.z;
      c.globalAlpha = 0.28;
      c.fill();
      c.globalAlpha = 1;
      c.save();
      c.beginPath();
      c.rect(X(-reach), Y(high + room), X(reach) - X(-reach), floor - Y(high + room));
      c.clip();
      for (const [ys, style, dash] of [[values, this.ink.f, []], [slopes, this.ink.d, [7, 5]]]) {
        c.beginPath();
        points.forEach((x, i) => {
          const jump = i && Math.abs(ys[i] - ys[i - 1]) > 0.15;  // not continuous: the pen is lifted
          c[i && !jump ? "lineTo" : "moveTo"](X(x), Y(ys[i]));
        });
        c.strokeStyle = style;
        c.setLineDash(dash);
        c.lineWidth = 2.4;
        c.stroke();
      }
      c.restore();
    }

    histogram(canvas, x, color) {
      let low = Infinity, high = -Infinity;
      for (const e of x) { if (e < low) low = e; if (e > high) high = e; }
      if (high - low < 1e-9) { low -= 0.5; high += 0.5; }
      const counts = new Float64Array(BINS);
      for (const e of x) counts[Math.min(BINS - 1, Math.floor(((e - low) / (high - low)) * BINS))] += 1;
      const most = Math.max(...counts), [c, X, Y, floor] = this.frame(canvas, [low, high], [0, most * 1.05], false);
      c.fillStyle = color;
      counts.forEach((count, i) => {
        const from = X(low + ((high - low) * i) / BINS), to = X(low + ((high - low) * (i + 1)) / BINS);
        if (count) c.fillRect(from, Math.min(Y(count), floor - 1), Math.max(1, to - from - 0.6), Math.max(1, floor - Y(count)));
      });
      c.textAlign = "right"; c.textBaseline = "top";
      c.fillStyle = this.ink.text;
      c.fillText(`tallest bar: ${((100 * most) / x.length).toFixed(1)} %`, X(high), 8);
    }
  }

  const begin = () => {
    const root = document.getElementById("nnx-activations");
    if (root && !root.dataset.live) {
      root.dataset.live = "yes";
      live.activationPage = new Activations(root);
    }
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();
