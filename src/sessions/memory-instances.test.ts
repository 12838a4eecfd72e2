import { describeInstances } from './instances.contract.ts';
import { createMemoryInstances } from './memory-instances.ts';

describeInstances('memory instances', async () => [{ id: 'a', instances: createMemoryInstances('a') }]);
