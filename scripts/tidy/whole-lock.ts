import type { Finding, Rule } from './repository.ts';

interface Lock {
  readonly packages: Readonly<
    Record<string, { readonly optionalDependencies?: Readonly<Record<string, string>> }>
  >;
}

/** `npm ci` refuses a lock that leaves out packages of other platforms, on every platform. */
export const wholeLock: Rule = {
  name: 'whole lock',
  check(repository) {
    const text = repository.get('package-lock.json');
    if (text === undefined) return [];
    const { packages } = JSON.parse(text) as Lock;
    return Object.entries(packages).flatMap(([location, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).flatMap((name): readonly Finding[] => {
        const places = [`${location}/node_modules/${name}`, `node_modules/${name}`];
        return places.some((place) => place in packages)
          ? []
          : [{ at: 'package-lock.json', problem: `lacks ${name}: run \`node scripts/complete-lock.mjs\`` }];
      }),
    );
  },
};
