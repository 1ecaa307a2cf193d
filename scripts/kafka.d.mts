export declare const KAFKA_VERSION: string;
export declare const KAFKA_REMEDY: string;
export declare function kafkaFolder(): string;
export declare function findKafka(): string | undefined;
export declare function downloadKafka(): boolean;
