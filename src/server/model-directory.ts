import type { ModelKind } from '../rerank/engine.ts';
import type { Reranker } from '../rerank/reranker.ts';
import { HttpRefusal } from './error-answer.ts';
import { RerankerSlot } from './reranker-slot.ts';

export interface ServedModel {
  readonly slot: RerankerSlot;
  /** What requests call it and `/v1/models` lists; default, for a server of one model: its path as given. */
  readonly name?: string | undefined;
}

/** A model that answers, and its name. */
export interface TakenModel {
  readonly name: string;
  readonly reranker: Reranker;
}

/** The models of a server, by name. The first one answers requests that name none. */
export class ModelDirectory {
  readonly #models: readonly [ServedModel, ...ServedModel[]];

  /** @throws TypeError for an empty list, and when several models do not all have names of their own */
  constructor(models: readonly ServedModel[]) {
    const [first, ...others] = models;
    if (first === undefined) throw new TypeError('a directory holds at least one model');
    const names = new Set(models.map(({ name }) => name));
    if (others.length > 0 && (names.has(undefined) || names.size < models.length))
      throw new TypeError('each of several models needs a name of its own');
    this.#models = [first, ...others];
  }

  /** The directory of one model. */
  static of(model: Reranker | RerankerSlot | ModelDirectory, name?: string): ModelDirectory {
    if (model instanceof ModelDirectory) return model;
    if (model instanceof RerankerSlot) return new ModelDirectory([{ slot: model, name }]);
    const slot = new RerankerSlot();
    slot.fill(model);
    return new ModelDirectory([{ slot, name }]);
  }

  /**
   * One model: any name is accepted, as SGLang does. Several: by their names.
   * @param name as sent: whatever JSON holds
   * @throws HttpRefusal 404 for a name that no model has; 400 for what is no name; 503 while the model cannot be asked
   */
  take(name?: unknown): TakenModel {
    const model = this.#find(name);
    if (model !== undefined) return nameModel(model, model.slot.take());
    if (typeof name !== 'string') {
      const message = '1 validation error: body.model: Input should be a valid string';
      throw new HttpRefusal(400, message, { type: 'BadRequestError' });
    }
    const names = this.#models.map((one) => one.name).join(', ');
    throw new HttpRefusal(404, `The model ${JSON.stringify(name.slice(0, 100))} does not exist (${names}).`, {
      type: 'NotFoundError',
    });
  }

  /** Kind of the model that `take` would give; undefined where it would throw because there is none, or none yet. */
  kindOf(name?: unknown): ModelKind | undefined {
    return this.#find(name)?.slot.loaded?.info.kind;
  }

  /** @throws HttpRefusal 503 while none of the models can be asked */
  requireAny(): void {
    if (!this.#models.some(({ slot }) => canBeAsked(slot))) this.#models[0].slot.take();
  }

  /** @throws HttpRefusal 503 while one of the models would keep a request waiting, or refuse it */
  requireAll(): void {
    for (const { slot } of this.#models) slot.requireReady();
  }

  /** Those that are loaded. @throws HttpRefusal 503 when there is none */
  listLoaded(): TakenModel[] {
    const loaded = this.#models.flatMap((model) => {
      const reranker = model.slot.loaded;
      return reranker === undefined ? [] : [nameModel(model, reranker)];
    });
    if (loaded.length === 0) this.#models[0].slot.take();
    return loaded;
  }

  /** The first of them. @throws HttpRefusal 503 when none is loaded */
  first(): TakenModel {
    return this.listLoaded()[0]!;
  }

  #find(name: unknown): ServedModel | undefined {
    if (this.#models.length === 1 || name == null || name === '') return this.#models[0];
    return this.#models.find((model) => model.name === name);
  }
}

const canBeAsked = (slot: RerankerSlot) => slot.loaded !== undefined && slot.readiness !== 'broken';

function nameModel({ name }: ServedModel, reranker: Reranker): TakenModel {
  return { name: name ?? reranker.info.model, reranker };
}
