// The map of a function of two variables: bands and lines of equal value, axes, and the paths on it.
"use strict";
(() => {
  const live = (globalThis.nnxLive ??= {});
  const LEVELS = 18;
  const INKS = {
    light: { low: [186, 204, 243], high: [250, 250, 253], line: [45, 66, 140, 0.42], text: "#30333d", halo: "#ffffffd0", goal: "#111" },
    dark: { low: [52, 78, 136], high: [27, 30, 39], line: [178, 196, 255, 0.36], text: "#e3e6f0", halo: "#14161dd0", goal: "#fff" },
  };

  /** "light" or "dark": Material's scheme, else the system's. */
  live.scheme = () => {
    const named = document.body.getAttribute("data-md-color-scheme");
    if (named) return named === "slate" ? "dark" : "light";
    return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  };

  /** Calls back when the scheme or the size of the element has changed. */
  live.watch = (element, changed) => {
    new MutationObserver(changed).observe(document.body, { attributeFilter: ["data-md-color-scheme"] });
    new ResizeObserver(changed).observe(element);
  };

  /** A canvas as sharp as the screen: [context, width, height] in CSS pixels. */
  live.sharp = (canvas) => {
    const { width, height } = canvas.getBoundingClientRect();
    const scale = Math.min(globalThis.devicePixelRatio || 1, 2);
    canvas.width = Math.max(1, Math.round(width * scale));
    canvas.height = Math.max(1, Math.round(height * scale));
    const context = canvas.getContext("2d");
    context.setTransform(canvas.width / width || 1, 0, 0, canvas.height / height || 1, 0, 0);
    return [context, width, height];
  };

  /** A number with so many digits, as it is printed. */
  live.short = (x, digits) => {
    const size = Math.abs(x);
    if (!size || (size >= 1e-3 && size < 1e5)) return String(Number(x.toPrecision(digits))).replace("-", "−");
    const [mantissa, power] = x.toExponential(1).split("e");
    const raised = [...power.replace("+", "")].map((c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c])).join("");
    return `${mantissa.replace("-", "−")}·10${raised}`;
  };

  /** Round numbers between two, about `count` of them. */
  live.ticks = (from, to, count) => {
    const raw = (to - from) / count, power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999);
    const first = Math.ceil(from / step - 1e-9);
    return Array.from({ length: Math.floor(to / step + 1e-9) - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
  };

  /** The shape that marks number `i` of the paths, so that colours are not needed to tell them apart. */
  live.marker = (context, i, x, y, r) => {
    context.beginPath();
    const corners = [0, 4, 3, 4, 3, 5, 6, 8][i % 8], turn = [0, 0.25, 0.5, 0, 0, 0.5, 0, 0.125][i % 8] * Math.PI;
    if (!corners) context.arc(x, y, r, 0, 2 * Math.PI);
    for (let k = 0; k < corners; k++) {
      const a = turn - Math.PI / 2 + (2 * Math.PI * k) / corners, s = corners === 3 ? r * 1.25 : r * 1.12;
      context[k ? "lineTo" : "moveTo"](x + s * Math.cos(a), y + s * Math.sin(a));
    }
    context.closePath();
    context.fill();
    context.stroke();
  };

  live.Map = class {
    /** `box` holds three canvases: the map, the paths, and what moves. */
    constructor(box) {
      [this.ground, this.trails, this.heads] = box.querySelectorAll("canvas");
    }

    show(landscape) {
      this.landscape = landscape;
      this.resize();
    }

    resize() {
      this.ink = INKS[live.scheme()];
      [this.groundContext, this.width, this.height] = live.sharp(this.ground);
      [this.trailContext] = live.sharp(this.trails);
      [this.headContext] = live.sharp(this.heads);
      for (const context of [this.trailContext, this.headContext]) context.lineJoin = context.lineCap = "round";
      // the window of the function, widened so that both axes have one scale
      const [x0, x1, y0, y1] = this.landscape.window, mx = (x0 + x1) / 2, my = (y0 + y1) / 2;
      const unit = Math.max((x1 - x0) / this.width, (y1 - y0) / this.height);
      this.unit = unit;
      this.x0 = mx - (unit * this.width) / 2;
      this.y1 = my + (unit * this.height) / 2;
      this.drawGround();
    }

    toX(px) { return this.x0 + px * this.unit; }
    toY(py) { return this.y1 - py * this.unit; }
    toPixel(x, y) { return [(x - this.x0) / this.unit, (this.y1 - y) / this.unit]; }

    drawGround() {
      const { ground, landscape, ink } = this, W = ground.width, H = ground.height;
      const scale = this.unit * (this.width / W), w = new Float64Array(2), values = new Float64Array((W + 1) * (H + 1));
      for (let j = 0, k = 0; j <= H; j++) {
        w[1] = this.y1 - (j + 0.5) * scale;
        for (let i = 0; i <= W; i++, k++) {
          w[0] = this.x0 + (i + 0.5) * scale;
          // logarithmic far from 0, linear near it, with the sign kept
          const v = landscape.value(w);
          values[k] = Math.sign(v) * Math.log1p(Math.abs(v) / 0.1);
        }
      }
      let low = Infinity, high = -Infinity;
      for (const v of values) { if (v < low) low = v; if (v > high) high = v; }
      const image = this.groundContext.createImageData(W, H), [r, g, b, alpha] = ink.line;
      for (let j = 0, p = 0; j < H; j++) {
        for (let i = 0; i < W; i++, p += 4) {
          const k = j * (W + 1) + i, u = ((values[k] - low) / (high - low)) * LEVELS;
          const slope = Math.hypot(values[k + 1] - values[k], values[k + W + 1] - values[k]) * (LEVELS / (high - low));
          const far = Math.abs(u - Math.round(u)) / (slope || 1);  // pixels to the next line
          const inside = u > 0.5 && u < LEVELS - 0.02;
          const a = inside ? alpha * Math.max(0, Math.min(1, 1.15 - far)) * Math.min(1, 0.35 / slope) : 0;
          const t = Math.min(1, Math.floor(u) / (LEVELS - 1));
          for (let c = 0; c < 3; c++) {
            const fill = ink.low[c] + (ink.high[c] - ink.low[c]) * t;
            image.data[p + c] = fill + ([r, g, b][c] - fill) * a;
          }
          image.data[p + 3] = 255;
        }
      }
      this.groundContext.putImageData(image, 0, 0);
      this.drawAxes();
    }

    drawAxes() {
      const { groundContext: c, width, height, ink } = this;
      c.font = "11px system-ui, sans-serif";
      c.lineWidth = 3;
      c.strokeStyle = ink.halo;
      c.fillStyle = ink.text;
      const write = (text, x, y) => { c.strokeText(text, x, y); c.fillText(text, x, y); };
      c.textAlign = "center"; c.textBaseline = "bottom";
      for (const v of live.ticks(this.x0, this.toX(width), Math.max(3, width / 90))) {
        const [x] = this.toPixel(v, 0);
        if (x > 26 && x < width - 12) { c.fillRect(x - 0.5, height - 4, 1, 4); write(live.short(v, 6), x, height - 5); }
      }
      c.textAlign = "left"; c.textBaseline = "middle";
      for (const v of live.ticks(this.toY(height), this.y1, Math.max(3, height / 70))) {
        const [, y] = this.toPixel(0, v);
        if (y > 10 && y < height - 24) { c.fillRect(0, y - 0.5, 4, 1); write(live.short(v, 6), 7, y); }
      }
      for (const goal of this.landscape.goals) this.cross(c, ...this.toPixel(...goal));
    }

    /** The mark of a goal. */
    cross(c, x, y) {
      for (const [style, lineWidth] of [[this.ink.halo, 5], [this.ink.goal, 2]]) {
        c.strokeStyle = style;
        c.lineWidth = lineWidth;
        c.beginPath();
        c.moveTo(x - 6, y); c.lineTo(x + 6, y);
        c.moveTo(x, y - 6); c.lineTo(x, y + 6);
        c.stroke();
      }
    }

    clearTrails() { this.trailContext.clearRect(0, 0, this.width, this.height); }

    /** Draws a path from its point number `from` to its end. Points far outside are drawn at a distance. */
    trail(path, color, from) {
      const c = this.trailContext, n = path.length / 2;
      if (n - from < 2) return;
      const limit = 4 * (this.width + this.height), clip = (p) => Math.max(-limit, Math.min(limit, p));
      c.beginPath();
      for (let k = from; k < n; k++) {
        const [x, y] = this.toPixel(path[2 * k], path[2 * k + 1]);
        c[k > from ? "lineTo" : "moveTo"](clip(x), clip(y));
      }
      c.strokeStyle = color;
      c.lineWidth = 2.2;
      c.stroke();
    }

    /** Draws what moves: the ends of the paths, and the start. */
    drawHeads(heads, start) {
      const c = this.headContext;
      c.clearRect(0, 0, this.width, this.height);
      const [sx, sy] = this.toPixel(...start);
      for (const [style, lineWidth] of [[this.ink.halo, 5], [this.ink.goal, 2]]) {
        c.strokeStyle = style;
        c.lineWidth = lineWidth;
        c.beginPath();
        c.arc(sx, sy, 6, 0, 2 * Math.PI);
        c.stroke();
      }
      c.lineWidth = 1.6;
      c.strokeStyle = this.ink.goal === "#fff" ? "#0c0e14" : "#fff";
      heads.forEach(({ x, y, color }, i) => {
        if (x === null) return;
        const [px, py] = this.toPixel(x, y);
        c.fillStyle = color;
        live.marker(c, i, px, py, 6.5);
      });
    }
  };
})();
